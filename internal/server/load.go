package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tapedeck/internal/archive"
	"tapedeck/internal/market"
)

// Load returns the configuration as the file, the environment and the flags make it of the defaults, each overriding what
// comes before it. A path of "" means ./tapedeck.yaml, or tapedeck/tapedeck.yaml in the user's configuration folder, where
// there is one. Overrides maps keys of settings to their values.
//
// Errors name the file and line, the variable, or the flag.
func Load(path string, environ []string, overrides map[string][]string) (Config, error) {
	c := Defaults()
	path, data, err := readConfig(path)
	if err != nil {
		return c, err
	}
	if err := c.applyYAML(path, data); err != nil {
		return c, err
	}
	if err := c.applyEnv(environ); err != nil {
		return c, err
	}
	for _, s := range settings() {
		if v, ok := overrides[s.key]; ok {
			if err := s.set(&c, v); err != nil {
				return c, fmt.Errorf("flag for %s: %w", s.key, err)
			}
		}
	}
	return c, c.Validate()
}

// readConfig returns the file that was asked for, or the first of the usual ones that exists, or none.
func readConfig(path string) (string, []byte, error) {
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return path, nil, fmt.Errorf("read configuration: %w", err)
		}
		return path, data, nil
	}
	usual := []string{"tapedeck.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		usual = append(usual, filepath.Join(dir, "tapedeck", "tapedeck.yaml"))
	}
	for _, p := range usual {
		data, err := os.ReadFile(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return p, nil, fmt.Errorf("read configuration: %w", err)
		}
		return p, data, nil
	}
	return "", nil, nil
}

func (c *Config) applyYAML(path string, data []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one document", path)
	}
	return c.applyNode(path, "", doc.Content[0])
}

// applyNode sets what a mapping of the file holds; prefix is the key that leads to it.
func (c *Config) applyNode(path, prefix string, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: want keys and values%s", path, node.Line, under(prefix))
	}
	seen := make(map[string]int)
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := prefix + name.Value
		if line, ok := seen[key]; ok {
			return fmt.Errorf("%s:%d: %s was set in line %d already", path, name.Line, key, line)
		}
		seen[key] = name.Line
		if err := c.applyKey(path, key, name.Line, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) applyKey(path, key string, line int, value *yaml.Node) error {
	section := false
	for _, s := range settings() {
		section = section || strings.HasPrefix(s.key, key+".")
		if s.key != key {
			continue
		}
		values, err := scalars(value, s.list)
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", path, value.Line, key, err)
		}
		if err := s.set(c, values); err != nil {
			return fmt.Errorf("%s:%d: %s: %w", path, value.Line, key, err)
		}
		return nil
	}
	if section {
		return c.applyNode(path, key+".", value)
	}
	return fmt.Errorf("%s:%d: unknown key %s%s", path, line, key, nearest(key))
}

func scalars(node *yaml.Node, list bool) ([]string, error) {
	if node.Kind == yaml.ScalarNode {
		if node.Tag == "!!null" {
			return nil, errors.New("has no value")
		}
		return []string{node.Value}, nil
	}
	if !list || node.Kind != yaml.SequenceNode {
		return nil, errors.New("want a single value")
	}
	values := make([]string, 0, len(node.Content))
	for _, n := range node.Content {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return nil, fmt.Errorf("the item in line %d is not a text", n.Line)
		}
		values = append(values, n.Value)
	}
	return values, nil
}

func (c *Config) applyEnv(environ []string) error {
	for _, s := range settings() {
		i := slices.IndexFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, s.env()+"=") })
		if i < 0 {
			continue
		}
		values := []string{environ[i][len(s.env())+1:]}
		if s.list {
			values = strings.Fields(values[0])
		}
		if err := s.set(c, values); err != nil {
			return fmt.Errorf("environment variable %s: %w", s.env(), err)
		}
	}
	return nil
}

func under(prefix string) string {
	if prefix == "" {
		return ""
	}
	return " under " + strings.TrimSuffix(prefix, ".")
}

// nearest suggests the known key that is most like the unknown one.
func nearest(key string) string {
	best, least := "", len(key)/2+1
	for _, s := range settings() {
		if d := market.EditDistance(key, s.key); d < least {
			best, least = s.key, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// Print writes the configuration as a file that Load reads, with a comment for each key. Feed URLs go through mask, which
// takes the secrets out.
func (c *Config) Print(w io.Writer, mask func(string) string) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range settings() {
		at, name := root, s.key
		if section, rest, ok := strings.Cut(s.key, "."); ok {
			at, name = child(root, section), rest
		}
		value := &yaml.Node{Kind: yaml.SequenceNode}
		for _, v := range s.get(c) {
			switch s.key {
			case "feeds", "publish":
				v = mask(v)
			case "archive":
				v = archive.Mask(v)
			}
			item := &yaml.Node{Kind: yaml.ScalarNode, Value: v}
			if v == "" {
				item.Style = yaml.DoubleQuotedStyle
			}
			value.Content = append(value.Content, item)
		}
		if !s.list {
			value = value.Content[0]
		}
		at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name, HeadComment: s.about}, value)
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return enc.Close()
}

// child returns the mapping of a section, which it makes if need be.
func child(root *yaml.Node, section string) *yaml.Node {
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value == section {
			return root.Content[i+1]
		}
	}
	m := &yaml.Node{Kind: yaml.MappingNode}
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: section}, m)
	return m
}

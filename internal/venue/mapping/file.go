package mapping

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tapedeck/internal/market"
)

// A file is a mapping in YAML: the parameters by their names, url, and rules. What stands at the top holds for every rule that
// does not say otherwise.
type file struct {
	top   *section
	rules []*section
}

// A section is a block of a file.
type section struct {
	line   int
	values map[string]value
}

type value struct {
	line  int
	list  []string          // one text, or several
	pairs map[string]string // of a map
}

func (s *section) has(name string) bool {
	_, ok := s.values[name]
	return ok
}

// text returns a value as one text: a list joined by commas.
func (s *section) text(name string) string { return strings.Join(s.values[name].list, ",") }

// line returns where a parameter stands, else the rule that lacks it, else 0.
func (f *file) line(rule *section, name string) int {
	for _, s := range []*section{rule, f.top} {
		if s != nil && s.has(name) {
			return s.values[name].line
		}
	}
	if rule != nil {
		return rule.line
	}
	return 0
}

// maxFile bounds the size of a mapping, in bytes.
const maxFile = 1 << 20

// readFile reads the mapping in a file. Known are the names of its parameters.
func readFile(name string, known []string) (*file, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	return parseFile(b, known)
}

// parseFile reads a mapping.
func parseFile(b []byte, known []string) (*file, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("want keys and values, such as value: celsius")
	}
	known = append(slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == "map" }), "rules")
	var f file
	var err error
	if f.top, err = parseSection(doc.Content[0], known, &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// parseSection reads a block of keys and values; f is nil in a rule.
func parseSection(n *yaml.Node, known []string, f *file) (*section, error) {
	s := &section{line: n.Line, values: make(map[string]value)}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		name := strings.ToLower(key.Value)
		if key.Kind != yaml.ScalarNode || !slices.Contains(known, name) {
			return nil, fmt.Errorf("line %d: unknown key %.80q%s", key.Line, key.Value, near(name, known))
		}
		if s.has(name) {
			return nil, fmt.Errorf("line %d: %s is there twice", key.Line, name)
		}
		if name == "rules" {
			if err := parseRules(v, f); err != nil {
				return nil, err
			}
			continue
		}
		read, err := parseValue(v)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", v.Line, name, err)
		}
		s.values[name] = read
	}
	return s, nil
}

func parseRules(n *yaml.Node, f *file) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 || len(n.Content) > 100 {
		return fmt.Errorf("line %d: rules: want a list of one to 100 rules", n.Line)
	}
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			return fmt.Errorf("line %d: rules: want keys and values", item.Line)
		}
		s, err := parseSection(item, RuleParams(), nil)
		if err != nil {
			return err
		}
		f.rules = append(f.rules, s)
	}
	return nil
}

func parseValue(n *yaml.Node) (value, error) {
	v := value{line: n.Line}
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return v, errors.New("has no value")
		}
		v.list = []string{n.Value}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return v, errors.New("want a list of texts")
			}
			v.list = append(v.list, item.Value)
		}
	case yaml.MappingNode:
		v.pairs = make(map[string]string)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind != yaml.ScalarNode || n.Content[i+1].Kind != yaml.ScalarNode {
				return v, errors.New("want names and texts")
			}
			v.pairs[n.Content[i].Value] = n.Content[i+1].Value
		}
	default:
		return v, errors.New("want a text, a list or pairs")
	}
	return v, nil
}

// near says which of the known words was probably meant.
func near(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := market.EditDistance(word, k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

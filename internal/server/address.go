package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Address is what a running server writes into the file server.json of its data folder, so that other commands find it. The file is
// for its owner only, and gone when the server is, unless that was killed.
type Address struct {
	URL    string `json:"url"`    // on this machine
	Secret string `json:"secret"` // what shows that one can read the folder
	PID    int    `json:"pid"`
}

func addressPath(data string) string { return filepath.Join(data, "server.json") }

// FindServer returns where the server that has a data folder is; ok is false when the folder says nothing of one.
func FindServer(data string) (a Address, ok bool, err error) {
	b, err := os.ReadFile(addressPath(data))
	if errors.Is(err, fs.ErrNotExist) {
		return Address{}, false, nil
	}
	if err != nil {
		return Address{}, false, fmt.Errorf("read the address of the server: %w", err)
	}
	if err := json.Unmarshal(b, &a); err != nil || a.URL == "" {
		return Address{}, false, fmt.Errorf("%s does not tell the address of a server", addressPath(data))
	}
	return a, true, nil
}

// announce writes the address of the server into the data folder.
func (n *node) announce(l net.Listener) error {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	b, err := json.Marshal(Address{URL: "http://" + net.JoinHostPort(host, port) + "/", Secret: n.secret, PID: os.Getpid()})
	if err != nil {
		return err
	}
	path := addressPath(n.opts.Config.Data)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// renounce removes the address again.
func (n *node) renounce() {
	if err := os.Remove(addressPath(n.opts.Config.Data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.log.WarnContext(context.Background(), "the address of the server can't be removed", "error", err)
	}
}

// newSecret draws what only those know who can read the data folder.
func newSecret() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("draw a secret: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// behind returns how many entries history is behind the tape, as far as it is recorded here.
func (n *node) behind() uint64 {
	if n.recorder == nil {
		return 0
	}
	recorded, _ := n.store.Entries()
	entries := n.tape.Stats().Ordinal
	return entries - min(recorded, entries)
}

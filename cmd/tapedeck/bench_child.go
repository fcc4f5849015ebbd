package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// How long a server may take to say where it is (a `go run` compiles first), and to end.
const (
	startPatience = 3 * time.Minute
	stopPatience  = 5 * time.Second
)

// child is a server that runs for a benchmark, in a process group of its own.
type child struct {
	cmd  *exec.Cmd
	url  *url.URL
	log  *lastBytes
	done chan struct{} // closed when the process and what reads its output have ended
}

// startChild starts a server and waits until it has printed its address.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, log: new(lastBytes), done: make(chan struct{})}
	name := strings.Join(cmd.Args[:min(2, len(cmd.Args))], " ")
	ownGroup(cmd)
	endWithUs(cmd)
	cmd.Cancel = func() error { return signalGroup(cmd, true) }
	cmd.WaitDelay = stopPatience
	cmd.Stderr = c.log
	// A pipe of our own making: that of StdoutPipe must not be read while Wait runs.
	r, w := io.Pipe()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var ended error
	go func() {
		ended = cmd.Wait()
		_ = w.Close()
	}()
	address := make(chan *url.URL, 1)
	go func() {
		// The pipe ends when Wait has returned, and done after it.
		defer close(c.done)
		defer close(address)
		in := bufio.NewReader(r)
		for found := false; ; {
			line, err := in.ReadString('\n')
			if u := addressIn(line); u != nil && !found {
				found = true
				address <- u
			}
			if err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(startPatience)
	defer timer.Stop()
	var ok bool
	select {
	case c.url, ok = <-address:
		if ok {
			return c, nil
		}
		<-c.done
		return nil, fmt.Errorf("%s ended with %w before it had printed its address: %s", name, orEnded(ended), c.log)
	case <-timer.C:
		c.stop()
		return nil, fmt.Errorf("%s printed no address in %v: %s", name, startPatience, c.log)
	}
}

var errEnded = errors.New("exit status 0")

func orEnded(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}

// addressIn returns the address at the end of a line such as "Tapedeck is at http://127.0.0.1:8000"; nil when there is none.
func addressIn(line string) *url.URL {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return nil
	}
	u, err := url.Parse(fields[len(fields)-1])
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return u
}

// stop ends the server: in order if it does so soon.
func (c *child) stop() {
	_ = signalGroup(c.cmd, false)
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	_ = signalGroup(c.cmd, true)
	<-c.done
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	mu   sync.Mutex
	text []byte
}

func (b *lastBytes) Write(p []byte) (int, error) {
	const most = 2000
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if n := len(b.text); n > most {
		b.text = append(b.text[:0], b.text[n-most:]...)
	}
	return len(p), nil
}

func (b *lastBytes) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(string(b.text))
}

// Command gorilla is what most live feeds in Go are: a hub, a goroutine and a channel for each client, and a WriteMessage for each tick and
// client, as the examples of gorilla/websocket have it. `tapedeck bench fanout --peer 'go run -C bench ./gorilla'` measures it
// beside Tapedeck.
//
// It makes trades of its own and sends them to whoever subscribes, in the form of Tapedeck's /v2/tape, numbered and stamped. In its favour it
// writes nothing to a disk, encodes a tick once for all clients, and has no login. Unlike the
// examples, which cut off a client whose channel is full, it waits for the slowest: else there would be nothing to measure at
// rates that are too high for it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// The bounds of the queues: of ticks that wait for the hub, and of messages that wait for a client, as in the examples. Whoever
// finds one full waits.
const (
	pendingTicks   = 1 << 16
	clientMessages = 256
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8001", "`ADDRESS` to listen on")
	rate := flag.Float64("rate", 10, "`TICKS` a second")
	symbols := flag.String("symbols", "AAPL", "`NAMES`, separated by commas")
	flag.Parse()
	if *rate <= 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *rate, strings.Split(*symbols, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "gorilla:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, listen string, rate float64, names []string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	h := &hub{clients: make(map[*client]bool)}
	ticks := make(chan tick, pendingTicks)
	var wg sync.WaitGroup
	wg.Go(func() { generate(ctx, rate, names, ticks) })
	wg.Go(func() { h.run(ctx, ticks) })
	server := http.Server{Handler: http.HandlerFunc(h.serve), ReadHeaderTimeout: 10 * time.Second}
	wg.Go(func() {
		<-ctx.Done()
		_ = server.Close()
	})
	fmt.Printf("listening on http://%s\n", listener.Addr())
	if err = server.Serve(listener); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	h.closeAll()
	wg.Wait()
	h.goroutines.Wait()
	return err
}

// tick is a message for everybody.
type tick struct {
	symbol string
	text   []byte
}

// generate makes ticks at a rate: those that became due since it last looked come at once.
func generate(ctx context.Context, rate float64, names []string, ticks chan<- tick) {
	seqs := make([]uint64, len(names))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	cents := 18_742
	begin, made := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due := time.Since(begin).Seconds() * rate; made < due; made++ {
			i := rand.IntN(len(names))
			seqs[i]++
			cents += rand.IntN(3) - 1
			select {
			case <-ctx.Done():
				return
			case ticks <- tick{"SIM:" + names[i], trade(names[i], seqs[i], cents)}:
			}
		}
	}
}

// trade writes a message with one trade, received now.
func trade(name string, seq uint64, cents int) []byte {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	n := strconv.FormatUint(seq, 10)
	return []byte(`[{"T":"t","S":"SIM:` + name + `","i":` + n + `,"p":` + fmt.Sprintf("%d.%02d", cents/100, cents%100) +
		`,"s":100,"t":"` + now + `","c":[],"tks":"B","seq":` + n + `,"r":"` + now + `"}]`)
}

// hub knows the clients.
type hub struct {
	mu         sync.RWMutex
	clients    map[*client]bool // true when subscribed
	goroutines sync.WaitGroup
}

// client is a connection and the queue in front of it.
type client struct {
	conn *websocket.Conn
	send chan []byte
	gone chan struct{} // closed by its reader

	mu      sync.Mutex
	symbols []string // nil for all
}

// run hands every tick to every client.
func (h *hub) run(ctx context.Context, ticks <-chan tick) {
	for {
		var t tick
		select {
		case <-ctx.Done():
			return
		case t = <-ticks:
		}
		h.mu.RLock()
		for c, subscribed := range h.clients {
			if !subscribed || !c.wants(t.symbol) {
				continue
			}
			select {
			case c.send <- t.text:
			case <-c.gone:
			case <-ctx.Done():
			}
		}
		h.mu.RUnlock()
	}
}

func (c *client) wants(symbol string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.symbols == nil || slices.Contains(c.symbols, symbol)
}

// serve takes a client in, and reads what it says until it is gone.
func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v2/tape" {
		http.NotFound(w, r)
		return
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &client{conn: conn, send: make(chan []byte, clientMessages), gone: make(chan struct{})}
	c.send <- []byte(`[{"T":"success","msg":"connected"}]`)
	c.send <- []byte(`[{"T":"success","msg":"authenticated"}]`)
	h.mu.Lock()
	h.clients[c] = false
	h.mu.Unlock()
	h.goroutines.Go(c.write)
	h.goroutines.Go(func() { h.read(c) })
}

// write writes a message for each message in the queue.
func (c *client) write() {
	for {
		select {
		case <-c.gone:
			return
		case text := <-c.send:
			if c.conn.WriteMessage(websocket.TextMessage, text) != nil {
				_ = c.conn.Close() // which ends the reader
				<-c.gone
				return
			}
		}
	}
}

// read answers a client until it is gone.
func (h *hub) read(c *client) {
	defer func() {
		close(c.gone)
		_ = c.conn.Close()
		h.mu.Lock()
		delete(h.clients, c)
		h.mu.Unlock()
	}()
	for {
		var ask struct {
			Action string   `json:"action"`
			Trades []string `json:"trades"`
		}
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if json.Unmarshal(text, &ask) != nil || ask.Action != "subscribe" {
			continue
		}
		c.mu.Lock()
		if c.symbols = ask.Trades; slices.Contains(ask.Trades, "*") {
			c.symbols = nil
		}
		c.mu.Unlock()
		answer, err := json.Marshal([]map[string]any{{"T": "subscription", "trades": ask.Trades}})
		if err != nil {
			return
		}
		c.send <- answer
		h.mu.Lock()
		h.clients[c] = true
		h.mu.Unlock()
	}
}

// closeAll closes the connections, so that their goroutines end.
func (h *hub) closeAll() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range h.clients {
		_ = c.conn.Close()
	}
}

// Command source is something to feed a Tapedeck with that is no market: the sensors of a house and the scores of a league, made
// up, over HTTP and over a WebSocket. docs/json-feeds.md reads it in several ways.
//
//	GET /sensors             the newest reading of each sensor
//	GET /scores?after=ID     the changes of scores since, the newest first
//	    /live                a WebSocket: {"op":"subscribe","sensors":["kitchen/temperature"]}
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
	"sync"
	"time"

	"github.com/coder/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, listen string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("source is at", l.Addr())
	h := newHouse()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sensors", h.sensors)
	mux.HandleFunc("GET /scores", h.scores)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { h.live(ctx, w, r) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() {
		h.change(ctx)
		_ = server.Close()
	})
	err = server.Serve(l)
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// reading is what a sensor says. The value is text, so that 21.50 keeps its zero.
type reading struct {
	Sensor string      `json:"sensor"`
	Value  json.Number `json:"value"`
	At     int64       `json:"at"` // ms since 1970
}

// score is a change of a score.
type score struct {
	ID     int       `json:"id"`
	Teams  string    `json:"teams"`
	Minute int       `json:"minute"`
	Goals  [2]int    `json:"goals"`
	At     time.Time `json:"at"`
}

// house has the state of all that changes.
type house struct {
	mu      sync.Mutex
	rng     *rand.Rand
	now     []reading
	cents   []int64       // of the readings
	games   []score       // as they stand
	scored  []score       // what changed, in order
	changed chan struct{} // closed and made anew at each change
}

func newHouse() *house {
	h := &house{rng: rand.New(rand.NewPCG(1, 2)), changed: make(chan struct{}), cents: []int64{2150, 4470, -310, 23010}}
	for _, name := range []string{"kitchen/temperature", "kitchen/humidity", "garden/temperature", "cellar/power"} {
		h.now = append(h.now, reading{Sensor: name})
	}
	h.games = []score{{ID: 1, Teams: "ARS-CHE", At: time.Now().UTC()}, {ID: 2, Teams: "LIV-MCI", At: time.Now().UTC()}}
	h.scored = slices.Clone(h.games)
	h.step()
	return h
}

// change lets time pass.
func (h *house) change(ctx context.Context) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.step()
		}
	}
}

// step changes every sensor a little, and now and then a score.
func (h *house) step() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.now {
		h.cents[i] += h.rng.Int64N(21) - 10
		h.now[i].Value = decimal(h.cents[i])
		h.now[i].At = time.Now().UnixMilli()
	}
	if h.rng.IntN(4) == 0 {
		game := &h.games[h.rng.IntN(len(h.games))]
		game.ID = h.scored[len(h.scored)-1].ID + 1
		game.Goals[h.rng.IntN(2)]++
		game.Minute++
		game.At = time.Now().UTC()
		h.scored = append(h.scored[max(0, len(h.scored)-99):], *game)
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// decimal writes hundredths.
func decimal(cents int64) json.Number {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return json.Number(fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100))
}

func (h *house) sensors(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answer(w, map[string]any{"house": "h1", "readings": h.now})
}

func (h *house) scores(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.Atoi(r.URL.Query().Get("after")) // all of them, without a number
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []score{}
	for _, s := range slices.Backward(h.scored) {
		if s.ID > after {
			list = append(list, s)
		}
	}
	answer(w, list)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, err) // who asked has gone
	}
}

// live sends the readings of the sensors that a client asks for, as they change: raw numbers of hundredths, of a room and a kind.
func (h *house) live(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	var ask struct {
		Sensors []string `json:"sensors"`
	}
	_, msg, err := ws.Read(ctx)
	if err != nil || json.Unmarshal(msg, &ask) != nil {
		_ = ws.Close(websocket.StatusPolicyViolation, `want {"op":"subscribe","sensors":[…]}`)
		return
	}
	if ws.Write(ctx, websocket.MessageText, []byte(`{"type":"subscribed"}`)) != nil {
		return
	}
	ctx = ws.CloseRead(ctx)
	for {
		h.mu.Lock()
		changed, data := h.changed, []map[string]any{}
		for i, now := range h.now {
			if slices.Contains(ask.Sensors, now.Sensor) {
				data = append(data, map[string]any{"sensor": now.Sensor, "raw": h.cents[i], "at": now.At})
			}
		}
		h.mu.Unlock()
		b, err := json.Marshal(map[string]any{"type": "readings", "data": data})
		if err != nil || ws.Write(ctx, websocket.MessageText, b) != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

package binance

import (
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/venuetest"
)

// fetch does a request of the adapter's.
func fetch(t *testing.T, r *venue.Request) *venue.Reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &venue.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}
}

// TestWithTheEmulator lists, subscribes, reads what follows, and fetches what came before.
func TestWithTheEmulator(t *testing.T) {
	s := venuetest.Start(t, venuetest.Binance("BTC-USDT", "DOGE-USDT"), venuetest.Options{})
	v, err := New(Options{URL: s.URL() + "/stream"})
	if err != nil {
		t.Fatal(err)
	}
	l := v.Listing()
	var list []venue.Instrument
	for r := l.First(nil); r != nil; {
		if list, r, err = l.Page(r, fetch(t, r), list); err != nil {
			t.Fatal(err)
		}
	}
	if len(list) != 2 {
		t.Fatalf("listed %+v", list)
	}
	for range 300 {
		s.Trade("BTCUSDT")
	}

	session := v.Session(venue.Trades|venue.Quotes, list)
	address, header := v.Endpoint(venue.Trades | venue.Quotes)
	ws, resp, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		defer resp.Body.Close()
	}
	defer func() { _ = ws.CloseNow() }()
	var out venue.Output
	if err := session.Opened(&out); err != nil {
		t.Fatal(err)
	}
	for _, msg := range out.Send {
		if err := ws.Write(t.Context(), websocket.MessageText, msg); err != nil {
			t.Fatal(err)
		}
	}
	var trades, quotes []market.Entry
	for said := false; len(trades) < 10 || len(quotes) == 0; {
		_, msg, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Message(msg, market.FromStd(s.Now()), &out); err != nil {
			t.Fatalf("%s: %v", msg, err)
		}
		if !said && len(out.Taken) == 2 {
			said = true
			s.Quote("BTCUSDT")
			for range 10 {
				s.Trade("BTCUSDT")
			}
		}
		for _, e := range out.Entries {
			switch e.Kind {
			case market.KindTrade:
				trades = append(trades, e)
			case market.KindQuote:
				quotes = append(quotes, e)
			default:
			}
		}
		out.Entries = out.Entries[:0]
	}
	for i, e := range trades {
		if want := trades[0].ID + uint64(i); e.ID != want || e.Flags != 0 {
			t.Fatalf("trade %d has number %d, want %d; flags %b", i, e.ID, want, e.Flags)
		}
	}

	truth := s.Trades("BTCUSDT")
	h := &venue.Hole{Instrument: list[0], Before: trades[0], Now: market.FromStd(s.Now())}
	if h.Instrument.Native != "BTCUSDT" {
		h.Instrument = list[1]
	}
	h.After = market.Entry{Kind: market.KindTrade, ID: truth[9].ID, Event: market.FromStd(truth[9].Time)}
	hs := v.History()
	var past []market.Entry
	var complete bool
	for r := hs.First(h); r != nil; {
		if past, r, complete, err = hs.Page(h, r, fetch(t, r), past); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[uint64]string)
	for _, e := range past {
		seen[e.ID] = e.Price.String() + " " + e.Size.String()
	}
	for _, x := range truth[10:300] {
		if seen[x.ID] != x.Price+" "+x.Size {
			t.Errorf("%d: got %q, want %s %s", x.ID, seen[x.ID], x.Price, x.Size)
		}
	}
	if !complete || len(out.Unusable) != 0 {
		t.Errorf("complete %v, left out %v", complete, out.Unusable)
	}
}

package okx

import (
	"io"
	"net/http"
	"strconv"
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

// list returns what the venue lists.
func list(t *testing.T, v *Venue) []venue.Instrument {
	t.Helper()
	var list []venue.Instrument
	for r := v.Listing().First(nil); r != nil; {
		var err error
		if list, r, err = v.Listing().Page(r, fetch(t, r), list); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// listen subscribes to instruments and gives what comes to see, until it is content.
func listen(t *testing.T, s *venuetest.Server, v *Venue, kinds venue.Kinds, instruments []venue.Instrument, see func(out *venue.Output) (content bool)) {
	t.Helper()
	session := v.Session(kinds, instruments)
	address, header := v.Endpoint(kinds)
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
	if err := session.Second(market.FromStd(s.Now()), &out); err != nil {
		t.Fatal(err)
	}
	for !see(&out) {
		for _, msg := range out.Send {
			if err := ws.Write(t.Context(), websocket.MessageText, msg); err != nil {
				t.Fatal(err)
			}
		}
		out.Send = out.Send[:0]
		_, msg, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Message(msg, market.FromStd(s.Now()), &out); err != nil {
			t.Fatalf("%s: %v", msg, err)
		}
	}
	if len(out.Unusable) != 0 {
		t.Errorf("left out %v", out.Unusable)
	}
}

// TestWithTheEmulator lists, subscribes to single trades and to quotes on their addresses, and fetches what came before.
func TestWithTheEmulator(t *testing.T) {
	s := venuetest.Start(t, venuetest.OKX("BTC-USDT", "DOGE-USDT", "BTC-USDT-SWAP"), venuetest.Options{})
	v, err := New(Options{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	instruments := list(t, v)
	if len(instruments) != 3 || instruments[0].Native != "BTC-USDT" || instruments[0].Tick.String() != "0.01" {
		t.Fatalf("listed %+v", instruments)
	}
	unknown, err := v.Name("NO-SUCH")
	if err != nil {
		t.Fatal(err)
	}
	var trades []market.Entry
	listen(t, s, v, venue.Trades, append(instruments, unknown), func(out *venue.Output) bool {
		if len(out.Taken) == 3 && len(out.Refused) == 1 {
			out.Taken = append(out.Taken, "") // once
			for range 10 {
				s.Trade("BTC-USDT")
			}
		}
		trades = append(trades, out.Entries...)
		out.Entries = out.Entries[:0]
		return len(trades) == 10
	})
	for i, e := range trades {
		if e.ID != trades[0].ID+uint64(i) || e.Symbol != "OKX:BTC-USDT" || e.Price.String() != s.Trades("BTC-USDT")[i].Price {
			t.Errorf("trade %d: got %+v", i, e)
		}
	}
	listen(t, s, v, venue.Quotes, instruments, func(out *venue.Output) bool {
		if len(out.Taken) == 3 {
			out.Taken = append(out.Taken, "")
			s.Quote("DOGE-USDT")
		}
		return len(out.Entries) == 1 && out.Entries[0].Kind == market.KindQuote
	})

	for range 300 {
		s.Trade("BTC-USDT")
	}
	truth := s.Trades("BTC-USDT")
	found, complete := past(t, s, v, instruments[0], entry(truth[9]), entry(truth[280]))
	for _, x := range truth[10:280] {
		e := entry(x)
		if found[name(&e)] != x.Price+" "+x.Size {
			t.Errorf("%d: got %q, want %s %s", x.ID, found[name(&e)], x.Price, x.Size)
		}
	}
	if !complete {
		t.Error("not complete")
	}
}

func entry(t venuetest.Trade) market.Entry {
	return market.Entry{Kind: market.KindTrade, ID: t.ID, Event: market.FromStd(t.Time)}
}

func name(e *market.Entry) string { return strconv.FormatUint(e.ID, 10) }

// past fetches what is in a hole.
func past(t *testing.T, s *venuetest.Server, v *Venue, in venue.Instrument, after, before market.Entry) (found map[string]string, complete bool) {
	t.Helper()
	h := &venue.Hole{Instrument: in, Now: market.FromStd(s.Now()), After: after, Before: before}
	var entries []market.Entry
	for r := v.History().First(h); r != nil; {
		var err error
		if entries, r, complete, err = v.History().Page(h, r, fetch(t, r), entries); err != nil {
			t.Fatal(err)
		}
	}
	found = make(map[string]string)
	for i := range entries {
		found[name(&entries[i])] = entries[i].Price.String() + " " + entries[i].Size.String()
	}
	return found, complete
}

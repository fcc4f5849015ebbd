package bybit

import (
	"fmt"
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

// TestWithTheEmulator lists, subscribes, and fetches what came before, as far as it can be had.
func TestWithTheEmulator(t *testing.T) {
	for category, reach := range map[string]int{"spot": 60, "linear": 300} {
		t.Run(category, func(t *testing.T) {
			s := venuetest.Start(t, venuetest.Bybit(category), venuetest.Options{})
			v, err := New(Options{URL: s.URL(), Category: category})
			if err != nil {
				t.Fatal(err)
			}
			instruments := list(t, v)
			if len(instruments) != 2 || instruments[0].Symbol != "BYBIT:BTC-USDT" || instruments[0].Tick.String() != "0.01" {
				t.Fatalf("listed %+v", instruments)
			}
			unknown, err := v.Name("NO-SUCH")
			if err != nil {
				t.Fatal(err)
			}
			var trades, quotes []market.Entry
			listen(t, s, v, venue.Trades|venue.Quotes, append(instruments, unknown), func(out *venue.Output) bool {
				if len(out.Taken) == 2 && len(out.Refused) == 1 {
					out.Taken = append(out.Taken, "") // once
					for range 10 {
						s.Trade("BTCUSDT")
						s.Quote("BTCUSDT")
					}
				}
				for _, e := range out.Entries {
					if e.Kind == market.KindTrade {
						trades = append(trades, e)
					} else {
						quotes = append(quotes, e)
					}
				}
				out.Entries = out.Entries[:0]
				return len(trades) == 10 && len(quotes) == 10
			})
			for i, e := range trades {
				want := s.Trades("BTCUSDT")[i]
				if w := entry(want, category); name(&e) != name(&w) || e.Symbol != "BYBIT:BTC-USDT" || e.Price.String() != want.Price {
					t.Errorf("trade %d: got %+v", i, e)
				}
			}

			for range 290 {
				s.Trade("BTCUSDT")
			}
			truth := s.Trades("BTCUSDT")
			for _, hole := range []int{reach / 2, 300 - 10} {
				found, complete := past(t, s, v, instruments[0], entry(truth[300-hole-1], category), market.Entry{})
				for _, x := range truth[300-min(hole, reach):] {
					e := entry(x, category)
					if found[name(&e)] != x.Price+" "+x.Size {
						t.Errorf("%d: got %q, want %s %s", x.ID, found[name(&e)], x.Price, x.Size)
					}
				}
				if complete != (hole < reach) {
					t.Errorf("of %d trades: complete is %v", hole, complete)
				}
			}
		})
	}
}

func entry(t venuetest.Trade, category string) market.Entry {
	e := market.Entry{Kind: market.KindTrade, ID: t.ID, Event: market.FromStd(t.Time)}
	if category != "spot" {
		e.ID, e.Ref = 0, fmt.Sprintf("35319862-77a2-5ebe-851b-%012d", t.ID)
	}
	return e
}

func name(e *market.Entry) string { return strconv.FormatUint(e.ID, 10) + e.Ref }

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

package feed_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// stocks names symbols of a venue, none of which has a dash.
func stocks(venue string) func(string) (market.Symbol, error) {
	return func(name string) (market.Symbol, error) {
		if strings.ContainsAny(name, "-/:") {
			return "", errors.New("not a stock")
		}
		return market.NewSymbol(venue, name)
	}
}

func wishing(t *testing.T, offers ...feed.Offer) *feed.Wishes {
	t.Helper()
	w := feed.NewWishes()
	for _, o := range offers {
		if err := w.Offer(o); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func wantWanted(t *testing.T, d *feed.Demand, want ...market.Symbol) {
	t.Helper()
	if diff := cmp.Diff(want, d.Wanted(nil)); diff != "" {
		t.Helper()
		t.Errorf("wanted: -want +got: %s", diff)
	}
}

func hasChanged(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWishesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wishing(t, feed.Offer{Feed: "alpaca", Venue: "ALPACA", Limit: 3, Linger: time.Minute, Fixed: []market.Symbol{"ALPACA:SPY"}, Name: stocks("ALPACA")})
		d := w.Demand("alpaca")
		changed := d.Changed()
		// What a feed brings anyway, and what none brings, is nobody's wish.
		for range 2 {
			if err := w.Want([]market.Symbol{"ALPACA:AAPL", "ALPACA:SPY", "SIM:AAPL", "ALPACA:BTC-USD"}); err != nil {
				t.Fatal(err)
			}
		}
		wantWanted(t, d, "ALPACA:AAPL")
		if !hasChanged(changed) {
			t.Error("nobody was told of the change")
		}
		changed = d.Changed()
		w.Release([]market.Symbol{"ALPACA:AAPL", "ALPACA:SPY", "SIM:AAPL"})
		time.Sleep(time.Hour)
		wantWanted(t, d, "ALPACA:AAPL")
		w.Release([]market.Symbol{"ALPACA:AAPL"})
		time.Sleep(59 * time.Second)
		wantWanted(t, d, "ALPACA:AAPL")
		if err := w.Want([]market.Symbol{"ALPACA:AAPL"}); err != nil { // a client that reconnects
			t.Fatal(err)
		}
		if hasChanged(changed) {
			t.Error("a change is told where there is none")
		}
		time.Sleep(time.Hour)
		wantWanted(t, d, "ALPACA:AAPL")
		w.Release([]market.Symbol{"ALPACA:AAPL"})
		time.Sleep(time.Minute)
		wantWanted(t, d)
	})
}

func TestWishesBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wishing(t,
			feed.Offer{Feed: "other", Venue: "OTHER", Name: stocks("OTHER")},
			feed.Offer{Feed: "alpaca", Venue: "ALPACA", Limit: 3, Linger: time.Minute, Fixed: []market.Symbol{"ALPACA:SPY"}, Name: stocks("ALPACA")})
		d := w.Demand("alpaca")
		if err := w.Want([]market.Symbol{"ALPACA:A", "ALPACA:B"}); err != nil {
			t.Fatal(err)
		}
		// All or nothing, over all feeds.
		err := w.Want([]market.Symbol{"OTHER:C", "ALPACA:B", "ALPACA:C"})
		if !errors.Is(err, feed.ErrNoRoom) || !strings.Contains(err.Error(), "3") {
			t.Errorf("got %v, want that there is no room", err)
		}
		wantWanted(t, w.Demand("other"))
		wantWanted(t, d, "ALPACA:A", "ALPACA:B")
		// What nobody wants any more makes room, the longest unwanted first.
		w.Release([]market.Symbol{"ALPACA:B"})
		time.Sleep(time.Second)
		w.Release([]market.Symbol{"ALPACA:A"})
		if err := w.Want([]market.Symbol{"ALPACA:C"}); err != nil {
			t.Fatal(err)
		}
		wantWanted(t, d, "ALPACA:A", "ALPACA:C")
		// But not for a client that asks for it again.
		if err := w.Want([]market.Symbol{"ALPACA:A", "ALPACA:D"}); !errors.Is(err, feed.ErrNoRoom) {
			t.Errorf("got %v, want that there is no room", err)
		}
		wantWanted(t, d, "ALPACA:A", "ALPACA:C")
	})
}

func TestWishesThatTheVenueRefuses(t *testing.T) {
	w := wishing(t, feed.Offer{Feed: "alpaca", Venue: "ALPACA", Limit: 2, Name: stocks("ALPACA")})
	d := w.Demand("alpaca")
	if err := w.Want([]market.Symbol{"ALPACA:A", "ALPACA:B"}); err != nil {
		t.Fatal(err)
	}
	d.Refused("ALPACA:B")
	d.Refused("ALPACA:Z")
	wantWanted(t, d, "ALPACA:A")
	if err := w.Want([]market.Symbol{"ALPACA:C"}); err != nil { // there is room again
		t.Fatal(err)
	}
	wantWanted(t, d, "ALPACA:A", "ALPACA:C")
	w.Release([]market.Symbol{"ALPACA:C", "ALPACA:A"})
	changed := d.Changed()
	if err := w.Want([]market.Symbol{"ALPACA:B"}); err != nil { // another client tries its luck
		t.Fatal(err)
	}
	if !hasChanged(changed) {
		t.Error("nobody was told of the change")
	}
	w.Release([]market.Symbol{"ALPACA:B"})
	w.Release([]market.Symbol{"ALPACA:B"})
}

func TestWishesNames(t *testing.T) {
	w := wishing(t,
		feed.Offer{Feed: "alpaca", Venue: "ALPACA", Name: stocks("ALPACA")},
		feed.Offer{Feed: "crypto", Venue: "ALPACA", Name: func(name string) (market.Symbol, error) {
			if base, quote, ok := strings.Cut(name, "/"); ok {
				return market.NewSymbol("ALPACA", base+"-"+quote)
			}
			if strings.Contains(name, "-") {
				return market.NewSymbol("ALPACA", name)
			}
			return "", errors.New("not a pair")
		}},
		feed.Offer{Feed: "massive", Venue: "MASSIVE", Name: stocks("MASSIVE")})
	for text, want := range map[string][]market.Symbol{
		"AAPL":         {"ALPACA:AAPL", "MASSIVE:AAPL"},
		"alpaca:aapl":  {"ALPACA:AAPL"},
		"MASSIVE:AAPL": {"MASSIVE:AAPL"},
		"BTC/USD":      {"ALPACA:BTC-USD"},
		"SIM:AAPL":     nil,
		"*":            nil,
	} {
		if diff := cmp.Diff(want, w.Name(text)); diff != "" {
			t.Errorf("%s: -want +got: %s", text, diff)
		}
	}
	if err := w.Want([]market.Symbol{"ALPACA:BTC-USD", "ALPACA:AAPL"}); err != nil {
		t.Fatal(err)
	}
	wantWanted(t, w.Demand("alpaca"), "ALPACA:AAPL")
	wantWanted(t, w.Demand("crypto"), "ALPACA:BTC-USD")
	if w.Demand("none") != nil || (*feed.Wishes)(nil).Demand("alpaca") != nil {
		t.Error("there is a demand where there is no offer")
	}
}

func TestBadOffers(t *testing.T) {
	w := wishing(t, feed.Offer{Feed: "a", Venue: "A", Name: stocks("A")})
	for i, o := range []feed.Offer{
		{Feed: "a", Venue: "A", Name: stocks("A")},
		{Feed: "b", Venue: "B"},
		{Feed: "c", Venue: "C", Limit: 1, Fixed: []market.Symbol{"C:A", "C:B"}, Name: stocks("C")},
	} {
		if err := w.Offer(o); err == nil {
			t.Errorf("offer %d passes", i)
		}
	}
}

// TestDemandReachesTheSource has a runner whose source asks what is wanted of it.
func TestDemandReachesTheSource(t *testing.T) {
	reg := feed.NewRegistry(feed.Adapter{
		Scheme: "stocks", Params: []string{"on-demand"},
		Offer: func(u *feed.URL) (*feed.Offer, error) {
			if on, err := u.Bool("on-demand", false); err != nil || !on {
				return nil, err
			}
			return &feed.Offer{Name: stocks(u.Venue)}, nil
		},
		Open: func(_ *feed.URL, start feed.Start) (feed.Source, error) {
			return nil, feed.Permanent(fmt.Errorf("wanted: %v", start.Demand.Wanted(nil)))
		},
	}, feed.Adapter{Scheme: "other", Open: func(*feed.URL, feed.Start) (feed.Source, error) { return nil, nil }})
	for text, want := range map[string]bool{"stocks://?on-demand=true": true, "stocks://": false, "other://": false} {
		u, err := reg.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := reg.Offer(u); err != nil || (o != nil) != want {
			t.Errorf("%s: got %v, %v", text, o, err)
		}
	}
	u, err := reg.Parse("stocks://?on-demand=true&name=iex")
	if err != nil {
		t.Fatal(err)
	}
	o, err := reg.Offer(u)
	if err != nil || o.Feed != "iex" || o.Venue != "IEX" {
		t.Fatalf("the offer is %+v, %v", o, err)
	}
	w := wishing(t, *o)
	if err := w.Want([]market.Symbol{"IEX:AAPL"}); err != nil {
		t.Fatal(err)
	}
	r, err := feed.NewRunner(feed.RunnerOptions{
		URL: u, Open: reg.Open, Writer: newWriter(t, new(tapetest.Memory), nil, 0), Log: slog.New(slog.DiscardHandler), Wishes: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "[IEX:AAPL]") {
		t.Errorf("got %v, want what the source was told is wanted", err)
	}
}

package gateway

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

var update = flag.Bool("update", false, "write the golden files of testdata/wire")

// wireFolder holds what goes over the wire, a file for each kind of message or answer. The page's tests read the same files.
const wireFolder = "../../testdata/wire"

// fixture is a tape with one of everything.
func fixture() *tapetest.Memory {
	m := newMemTape()
	when := t0
	stock := market.Trade{
		Symbol: "ALPACA:AAPL", Seq: 1042, ID: 52983525029461, Event: when + 123_456_789, Received: when + 124_000_000,
		Price: dec("187.42"), Size: dec("100"), Exchange: "V", Conditions: "@,F", Tape: 'C',
	}
	coin := market.Trade{
		Symbol: "COINBASE:BTC-USD", Seq: 7, ID: 865_127_782, Event: when + 5_000_000, Received: when + 25_000_000,
		Price: dec("61837.6300"), Size: dec("0.00000100"), Side: market.SideSell,
	}
	sim := market.Trade{
		Symbol: "SIM:MSFT", Seq: 1, Ref: "f3a-77", Event: when, Received: when, Price: dec("410"), Size: dec("1"), Side: market.SideBuy,
	}
	m.Put("alpaca", stock.Entry(), market.Quote{
		Symbol: "ALPACA:AAPL", Seq: 88, Event: when + 200_000_000, Received: when + 201_000_000, Bid: dec("187.41"), BidSize: dec("3"),
		Ask: dec("187.43"), AskSize: dec("2"), BidFrom: "V", AskFrom: "Q", Conditions: "R", Tape: 'C',
	}.Entry())
	m.Put("coinbase", coin.Entry(), market.Quote{
		Symbol: "COINBASE:BTC-USD", Seq: 9, Event: when + 6_000_000, Received: when + 26_000_000, Bid: dec("61837.61"), BidSize: dec("0.5"),
		Ask: dec("61837.63"), AskSize: dec("1.25000000"),
	}.Entry())
	m.Put("sim", sim.Entry())
	m.Put("sim", market.Gap{Symbol: "SIM:MSFT", From: when + market.Second, To: when + 9*market.Second, Reason: "connection lost"}.Entry())
	m.Put("sim", market.Gap{From: when + market.Second, To: when + 9*market.Second, Reason: "tape damaged", Flags: market.FlagDamage}.Entry())
	m.Put("coinbase", market.Status{Symbol: "COINBASE:BTC-USD", State: market.StateStale, Event: when, Reason: "nothing came for 9s"}.Entry())
	m.Put("coinbase", market.Status{State: market.StateDown, Event: when}.Entry())
	m.Put("sim", market.Alarm{Symbol: "SIM:MSFT", Seq: 1, Event: when, Price: dec("410"), Text: "2.13% move!"}.Entry())
	stock.Seq, stock.ID, stock.Event, stock.Price = 1043, stock.ID+1, when+61*market.Second+market.Second, dec("187.50")
	stock.Received = stock.Event
	stock.Conditions = "@"
	m.Put("alpaca", stock.Entry())
	stock.Seq, stock.ID, stock.Event, stock.Price = 1044, stock.ID+1, when+30*market.Second, dec("186.99")
	m.Put("alpaca", stock.Entry())
	return m
}

// golden compares a text with a file, or writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if !json.Valid([]byte(got)) {
		t.Errorf("%s is not JSON: %s", name, got)
	}
	path := filepath.Join(wireFolder, name)
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got+"\n" != string(want) {
		t.Errorf("%s: got  %s\nwant %s", name, got, want)
	}
}

// TestWire holds every kind of message and answer to its golden file.
func TestWire(t *testing.T) {
	m := fixture()
	h := newMemHistory()
	o := Options{Tape: m, History: h}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	bars, err := g.newBars(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.hub.start(nil, bars, 1)
	names := map[channel]string{
		chTrades: "trade", chQuotes: "quote", chBars: "bar", chUpdatedBars: "updated-bar", chDailyBars: "daily-bar",
		chStatuses: "status", chAlerts: "alert", chGaps: "gap",
	}
	written := map[string]bool{}
	for _, rec := range m.Records() {
		h.take(rec)
		g.hub.publish(rec)
		b := g.hub.blocks[len(g.hub.blocks)-1]
		for i := range b.events {
			name := names[b.events[i].channel]
			e := &rec.Entries[b.events[i].entry]
			switch {
			case e.Symbol == "":
				name += "-feed"
			case b.events[i].channel <= chQuotes:
				name += "-" + rec.Feed
			}
			if written[name] {
				continue
			}
			written[name] = true
			text := b.append([]byte{'['}, native, asText, i)
			text[len(text)-1] = ']'
			golden(t, name+".json", string(text))
			if name == "trade-coinbase" || name == "trade-alpaca" || name == "alert" {
				golden(t, "price-"+name+".json", string(appendEvent(nil, prices, rec.Feed, e, &b.events[i])))
			}
		}
	}
	for _, name := range []string{
		"trade-alpaca", "trade-coinbase", "trade-sim", "quote-alpaca", "quote-coinbase", "bar", "updated-bar", "daily-bar", "status", "status-feed",
		"gap", "gap-feed", "alert",
	} {
		if !written[name] {
			t.Errorf("the fixture has no %s", name)
		}
	}
}

// TestWireControl holds the messages around the ticks to their golden files.
func TestWireControl(t *testing.T) {
	m := fixture()
	b := serve(t, m, func(o *Options) {
		o.Feeds = twoFeeds
	})
	c := b.dial("/v2/tape")
	golden(t, "connected.json", c.read())
	c.send(`{"action":"auth","key":"k","secret":"s"}`)
	golden(t, "authenticated.json", c.read())
	c.send(`{"action":"subscribe","trades":["AAPL","SIM:NEW"],"quotes":["*"],"bars":["AAPL"],"cursor":true}`)
	golden(t, "subscription.json", c.read())
	golden(t, "status-unknown.json", c.read())
	m.Put("alpaca", trade("ALPACA:AAPL", 1045, 18705, t0+62*market.Second), quote("ALPACA:AAPL", 89, t0+62*market.Second))
	golden(t, "frame-with-cursor.json", c.read())
	c.send(`{"action":"subscribe","trades":[1]}`)
	golden(t, "error.json", c.read())
	c.send(`{"action":"subscribe","trades":["SIM:MSFT"],"from":{"cursor":"` + tape.Cursor{Position: 1}.String() + `"}}`)
	golden(t, "error-416.json", c.read())
	golden(t, "heartbeat.json", string(appendHeartbeat([]byte{'['}, t0))+"]")
	for name, path := range map[string]string{
		"rest-trades.json":  "/v2/stocks/AAPL/trades?start=2026-11-23",
		"rest-quotes.json":  "/v2/stocks/quotes?symbols=AAPL,BTC/USD&start=2026-11-23",
		"rest-bars.json":    "/v2/stocks/AAPL/bars?timeframe=1Min&limit=1&start=2026-11-23",
		"rest-symbols.json": "/v1/symbols",
		"rest-feeds.json":   "/v1/feeds",
		"rest-history.json": "/history?limit=3",
		"problem.json":      "/history?symbol=APL",
	} {
		_, _, body := b.get(path)
		golden(t, name, undated(body[:len(body)-1]))
	}
}

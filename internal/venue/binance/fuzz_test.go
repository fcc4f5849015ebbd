package binance

import (
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// plausible fails the test on an entry that must not reach the tape.
func plausible(t *testing.T, list []market.Entry) {
	t.Helper()
	for _, e := range list {
		if e.Received == 0 || e.Event == 0 || (e.Symbol == "") != (e.Kind == market.KindHeartbeat) {
			t.Fatalf("without a time or a symbol: %+v", e)
		}
		switch e.Kind {
		case market.KindTrade:
			if e.ID == 0 || e.Price.Sign() <= 0 || e.Size.Sign() <= 0 {
				t.Fatalf("no trade: %+v", e)
			}
		case market.KindQuote:
			if e.Price.Sign() < 0 || e.Ask.Sign() < 0 || e.Size.Sign() < 0 || e.AskSize.Sign() < 0 {
				t.Fatalf("no quote: %+v", e)
			}
		case market.KindHeartbeat:
		default:
			t.Fatalf("of kind %v: %+v", e.Kind, e)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"stream":"btcusdt@trade","data":{"e":"trade","E":1789295134226,"s":"BTCUSDT","t":388510,"p":"76745.19000000","q":"0.00065000","T":1789295134225,"m":false,"M":true}}`,
		`{"e":"aggTrade","E":1781416576889,"s":"BTCUSDT","a":3988316038,"p":"64348.95000000","q":"0.00009000","f":6407186253,"l":6407186253,"T":1781416576889000,"m":true,"M":true}`,
		`{"u":1801512,"s":"ETHUSDT","b":"76745.18000000","B":"8.74206000","a":"76745.19000000","A":"12.06313000"}`,
		`{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BTCUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}`,
		`{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}`,
		`{"result":null,"id":1}`, `{"code":2,"msg":"Invalid request"}`, `{"error":{"code":2,"msg":"x"},"id":1}`, `{"error":"x","id":"1"}`,
		`{"e":"trade","s":"BTCUSDT","t":18446744073709551616,"p":"1E-40","q":"0.-1","T":99999999999999999999}`,
		`{"e":"kline","k":{"t":1}}`, `{"data":{"data":{"e":"trade"}}}`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, aggregated bool) {
		s, out := open(t, venue.Trades|venue.Quotes, aggregated)
		err := s.Message(msg, now, out)
		plausible(t, out.Entries)
		if err != nil && len(out.Entries) > 0 {
			t.Fatalf("%v, and yet %+v", err, out.Entries)
		}
		for _, r := range out.Refused {
			if r.Symbol == "" || len(r.Reason) > 300 {
				t.Fatalf("refused %+v", r)
			}
		}
	})
}

func FuzzPages(f *testing.F) {
	for _, seed := range []string{
		`[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]`,
		`[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]`,
		`{"code":-1121,"msg":"Invalid symbol."}`, listed, `[]`, `{"symbols":[{"symbol":"A","baseAsset":"","quoteAsset":"-","filters":[{}]}]}`,
	} {
		f.Add([]byte(seed), 200, false)
		f.Add([]byte(seed), 400, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int, aggregated bool) {
		got := &venue.Reply{Status: status, Body: body}
		hs, h := hole(t, aggregated)
		for _, after := range []market.Entry{h.After, {Event: now - market.Hour}} {
			h.After = after
			list, next, complete, err := hs.Page(h, hs.First(h), got, nil)
			plausible(t, list)
			if err != nil && (len(list) > 0 || next != nil || complete) || complete && next != nil {
				t.Fatalf("%d entries, next %v, complete %v, %v", len(list), next, complete, err)
			}
		}
		v, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := v.Listing()
		instruments, _, _ := l.Page(l.First(nil), got, nil)
		for _, in := range instruments {
			if _, err := market.ParseSymbol(string(in.Symbol)); err != nil || in.Native == "" || in.Tick.Sign() < 0 || in.Lot.Sign() < 0 {
				t.Fatalf("%+v, %v", in, err)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"BTC-USDT", "btc/usdt", "BTCUSDT", "", "-", "A-B-C", "é-USD"} {
		f.Add(seed)
	}
	v, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		in, err := v.Name(name)
		if err != nil {
			return
		}
		if _, err := market.ParseSymbol(string(in.Symbol)); err != nil {
			t.Fatal(err)
		}
		if again, err := v.Name(in.Symbol.Name()); err != nil || again.Symbol != in.Symbol {
			t.Fatalf("%s is %+v, whose own name is %+v, %v", name, in, again, err)
		}
	})
}

package kraken

import (
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// plausible fails the test on an entry that must not reach the tape.
func plausible(t *testing.T, list []market.Entry) {
	t.Helper()
	for _, e := range list {
		if e.Received == 0 || e.Event == 0 {
			t.Fatalf("without a time: %+v", e)
		}
		switch e.Kind {
		case market.KindTrade:
			if e.Symbol == "" || e.ID == 0 || e.Price.Sign() <= 0 || e.Size.Sign() <= 0 {
				t.Fatalf("no trade: %+v", e)
			}
		case market.KindQuote:
			if e.Symbol == "" || e.Price.Sign() < 0 || e.Ask.Sign() < 0 || e.Size.Sign() < 0 || e.AskSize.Sign() < 0 {
				t.Fatalf("no quote: %+v", e)
			}
		case market.KindStatus, market.KindHeartbeat:
		default:
			t.Fatalf("of kind %v: %+v", e.Kind, e)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":85772.4,"qty":0.00043721,"ord_type":"limit","trade_id":110386729,"timestamp":"2026-10-06T18:14:44.947782Z"},{"symbol":"BTC/USD","side":"sell","price":4.8E-7,"qty":1e2,"trade_id":110386730,"timestamp":"1970-01-01T00:00:00Z"}]}`,
		`{"channel":"trade","type":"snapshot","data":[{"symbol":"ETH/USD","side":"buy","price":1.10,"qty":2,"trade_id":18446744073709551615,"timestamp":""}]}`,
		`{"data":[{"symbol":"BTC/USD","bid":1,"bid_qty":2,"ask":3,"ask_qty":4}],"type":"update","channel":"ticker"}`,
		`{"channel":"ticker","type":"update","data":[{"symbol":"ETH/USD","bid":0,"bid_qty":0,"ask":0,"ask_qty":0,"timestamp":"1970-01-01T00:00:00.000000Z"}]}`,
		`{"channel":"status","type":"update","data":[{"system":"maintenance","connection_id":16174536464690282295}]}`,
		`{"channel":"heartbeat"}`,
		`{"method":"subscribe","result":{"channel":"trade","symbol":"BTC/USD"},"success":true,"req_id":1}`,
		`{"error":"Currency pair not supported BTC/USD","method":"subscribe","success":false,"symbol":"BTC/USD"}`,
		`{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USDT","open":77499.9}]}`,
		`{"channel":"trade","type":"update","data":[{"symbol":"BTC\/USD","price":NaN}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		s, out := open(t, venue.Trades|venue.Quotes)
		err := s.Message(msg, now, out)
		plausible(t, out.Entries)
		if err != nil && len(out.Entries) > 0 {
			t.Fatalf("%v, and yet %+v", err, out.Entries)
		}
		for _, symbol := range out.Taken {
			if symbol == "" {
				t.Fatal("took a symbol without a name")
			}
		}
		for _, r := range out.Refused {
			if r.Symbol == "" || len(r.Reason) > 300 {
				t.Fatalf("refused %+v", r)
			}
		}
		if err := s.Message([]byte(`{"channel":"heartbeat"}`), now, out); err != nil {
			t.Fatalf("after it: %v", err)
		}
	})
}

func FuzzPages(f *testing.F) {
	for _, seed := range []string{
		`{"error":[],"result":{"XXBTZUSD":[["105433.60000","0.00027625",1762795433.9717445,"b","l","",10218208]],"last":"1762820035982277754"}}`,
		`{"error":[],"result":{"last":17,"XXBTZUSD":[[1,2,3],[],["1","2",1e9,"s","m","",11]]}}`,
		`{"error":["EGeneral:Too many requests"]}`,
		`{"error":[],"result":{"XBTUSDT":{"altname":"XBTUSDT","wsname":"XBT/USDT","lot_decimals":8,"tick_size":"0.1","status":"online"}}}`,
		`{"error":[],"result":{"XBTUSDT":{"altname":"XBTUSDT","wsname":"XBT/","lot_decimals":99,"tick_size":"NaN","status":"x"}}}`,
	} {
		f.Add([]byte(seed), 200)
		f.Add([]byte(seed), 429)
	}
	v, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		got := &venue.Reply{Status: status, Body: body}
		hs, h := hole(t)
		list, next, complete, err := hs.Page(h, hs.First(h), got, nil)
		plausible(t, list)
		if err != nil && (len(list) > 0 || next != nil || complete) || complete && next != nil {
			t.Fatalf("%d entries, next %v, complete %v, %v", len(list), next, complete, err)
		}
		l := v.Listing()
		instruments, _, _ := l.Page(l.First(nil), got, nil)
		for _, in := range instruments {
			if _, err := market.ParseSymbol(string(in.Symbol)); err != nil || in.Native == "" || in.REST == "" || in.Tick.Sign() < 0 || in.Lot.Sign() < 0 {
				t.Fatalf("%+v, %v", in, err)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"BTC-USD", "xbt/usd", "AAPLx/USD", "XBTUSD", "", "-", "A-B-C", "é-USD"} {
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

package kraken

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func hole(t *testing.T) (venue.History, *venue.Hole) {
	t.Helper()
	v, err := New(Options{URL: "ws://host:1"})
	if err != nil {
		t.Fatal(err)
	}
	return v.History(), &venue.Hole{
		Instrument: venue.Instrument{Native: "BTC/USD", REST: "XBTUSD", Symbol: "KRAKEN:BTC-USD"}, Now: now,
		After:  market.Entry{Kind: market.KindTrade, ID: 10, Event: now - market.Minute},
		Before: market.Entry{Kind: market.KindTrade, ID: 2000, Event: now},
	}
}

// rows writes an answer with the trades from low to high.
func rows(low, high uint64, last string) *venue.Reply {
	var b strings.Builder
	b.WriteString(`{"error":[],"result":{"XXBTZUSD":[`)
	for id := low; id <= high; id++ {
		if id > low {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `["1.50","2.0",1794999990.%07d,"s","m","",%d]`, id, id)
	}
	b.WriteString(`],"last":"` + last + `"}}`)
	return &venue.Reply{Status: http.StatusOK, Body: []byte(b.String())}
}

func TestWalksForward(t *testing.T) {
	hs, h := hole(t)
	asked := hs.First(h)
	if want := "http://host:1/0/public/Trades?count=1000&pair=XBTUSD&since=1794999939999999999"; asked.URL != want {
		t.Errorf("asked %s, want %s", asked.URL, want)
	}
	list, next, complete, err := hs.Page(h, asked, rows(10, 1009, "77"), nil)
	if err != nil || complete || next == nil || next.URL != "http://host:1/0/public/Trades?count=1000&pair=XBTUSD&since=76" {
		t.Fatal(next, complete, err)
	}
	list, next, complete, err = hs.Page(h, next, rows(1010, 2003, "78"), list)
	if err != nil || !complete || next != nil || len(list) != 1994 {
		t.Fatal(len(list), next, complete, err)
	}
	e := list[5]
	if e.ID != 15 || e.Side != market.SideSell || e.Price.String() != "1.50" || e.Size.String() != "2.0" || e.Flags != market.FlagBackfilled ||
		e.Event != 1_794_999_990*market.Second+15*100 || e.Received != now || e.Symbol != "KRAKEN:BTC-USD" {
		t.Errorf("got %+v", e)
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(h *venue.Hole)
		reply    *venue.Reply
		complete bool
		more     bool
	}{
		"all of it":                {nil, rows(11, 1010, "9"), false, true},
		"its history is behind":    {nil, rows(11, 500, "9"), true, false},
		"up to now":                {func(h *venue.Hole) { h.Before = market.Entry{} }, rows(11, 500, "9"), true, false},
		"nothing since":            {func(h *venue.Hole) { h.Before = market.Entry{} }, rows(10, 10, "9"), true, false},
		"some are missing there":   {func(h *venue.Hole) { h.Before.ID = 101 }, rows(12, 100, "9"), true, false},
		"covered":                  {func(h *venue.Hole) { h.Before.ID = 101 }, rows(11, 200, "9"), true, false},
		"no cursor":                {nil, rows(11, 1010, ""), false, false},
		"the same cursor":          {nil, rows(11, 1010, "1794999940000000000"), false, false},
		"from when is not known":   {func(h *venue.Hole) { h.After = market.Entry{} }, rows(11, 1999, "9"), false, false},
		"nothing at all is known":  {func(h *venue.Hole) { h.After, h.Before = market.Entry{}, market.Entry{} }, rows(11, 1010, "9"), false, false},
		"a time is known":          {func(h *venue.Hole) { h.After = market.Entry{Event: now - market.Hour} }, rows(900, 1999, "9"), true, false},
		"a row that is not usable": {func(h *venue.Hole) { h.Before.ID = 13 }, &venue.Reply{Status: 200, Body: []byte(`{"error":[],"result":{"X":[["NaN","1",1794999990.1,"b","l","",11],["1","1",1794999990.1,"b","l","",12]],"last":"9"}}`)}, true, false},
	} {
		hs, h := hole(t)
		if c.change != nil {
			c.change(h)
		}
		_, next, complete, err := hs.Page(h, hs.First(h), c.reply, nil)
		if err != nil || complete != c.complete || (next != nil) != c.more {
			t.Errorf("%s: complete %v, next %v, %v", name, complete, next, err)
		}
	}
}

func TestErrorsOfREST(t *testing.T) {
	hs, h := hole(t)
	for name, c := range map[string]struct {
		reply   venue.Reply
		refused bool
		after   time.Duration
	}{
		"too many":        {venue.Reply{Status: 200, Body: []byte(`{"error":["EGeneral:Too many requests"]}`)}, false, 10 * time.Second},
		"rate limit":      {venue.Reply{Status: 200, Body: []byte(`{"error":["EAPI:Rate limit exceeded"],"result":null}`)}, false, 10 * time.Second},
		"unavailable":     {venue.Reply{Status: 200, Body: []byte(`{"error":["EService:Unavailable"]}`)}, false, 5 * time.Second},
		"unknown pair":    {venue.Reply{Status: 200, Body: []byte(`{"error":["EQuery:Unknown asset pair"]}`)}, true, 0},
		"another":         {venue.Reply{Status: 200, Body: []byte(`{"error":["EGeneral:Internal error"]}`)}, false, 0},
		"429":             {venue.Reply{Status: 429, Header: http.Header{"Retry-After": {"33"}}}, false, 33 * time.Second},
		"503":             {venue.Reply{Status: 503}, false, 5 * time.Second},
		"451":             {venue.Reply{Status: 451}, true, 0},
		"500":             {venue.Reply{Status: 500, Body: []byte("<html>")}, false, 0},
		"no JSON":         {venue.Reply{Status: 200, Body: []byte("<html>")}, false, 0},
		"nothing":         {venue.Reply{Status: 200}, false, 0},
		"neither":         {venue.Reply{Status: 200, Body: []byte(`{}`)}, false, 0},
		"another shape":   {venue.Reply{Status: 200, Body: []byte(`{"error":[],"result":{"XBT":{}}}`)}, false, 0},
		"result is null":  {venue.Reply{Status: 200, Body: []byte(`{"error":[],"result":null}`)}, false, 0},
		"rows of nothing": {venue.Reply{Status: 200, Body: []byte(`{"error":[],"result":{"XBT":[1,2]}}`)}, false, 0},
	} {
		before := []market.Entry{{ID: 5}}
		list, next, complete, err := hs.Page(h, hs.First(h), &c.reply, before)
		after := time.Duration(0)
		if retry, ok := errors.AsType[*venue.RetryError](err); ok {
			after = retry.After
		}
		if err == nil || next != nil || complete || len(list) != 1 || errors.Is(err, venue.ErrRefused) != c.refused || after != c.after {
			t.Errorf("%s: %d entries, after %v, %v", name, len(list), after, err)
		}
	}
}

// TestTokenisedAssetsAreListedApart goes on without them where the venue has none.
func TestTokenisedAssetsAreListedApart(t *testing.T) {
	v, err := New(Options{URL: "ws://host:1"})
	if err != nil {
		t.Fatal(err)
	}
	l := v.Listing()
	first := l.First(nil)
	if want := "http://host:1/0/public/AssetPairs"; first.URL != want {
		t.Errorf("asked %s, want %s", first.URL, want)
	}
	body := `{"error":[],"result":{
		"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","tick_size":"0.1","lot_decimals":8,"status":"online"},
		"DARK":{"altname":"XBTUSD.d"},
		"XDGUSD":{"altname":"XDGUSD","wsname":"XDG/USD","status":"cancel_only"}}}`
	list, second, err := l.Page(first, &venue.Reply{Status: 200, Body: []byte(body)}, nil)
	if err != nil || second == nil || second.URL != first.URL+"?aclass_base=tokenized_asset" {
		t.Fatal(second, err)
	}
	list, end, err := l.Page(second, &venue.Reply{Status: 200, Body: []byte(`{"error":["EGeneral:Invalid arguments"]}`)}, list)
	if err != nil || end != nil || len(list) != 2 {
		t.Fatal(list, end, err)
	}
	if in := list[1]; in.Native != "DOGE/USD" || in.REST != "XDGUSD" || in.Symbol != "KRAKEN:DOGE-USD" || !in.Resting || !in.Tick.IsZero() {
		t.Errorf("got %+v", in)
	}
	if _, _, err := l.Page(first, &venue.Reply{Status: 429}, nil); err == nil {
		t.Error("a refusal of the first list is taken for a list")
	}
	hs := v.History()
	if r := hs.First(&venue.Hole{Instrument: venue.Instrument{Native: "AAPLx/USD", REST: "AAPLxUSD"}}); !strings.Contains(r.URL, "asset_class=tokenized_asset") {
		t.Errorf("asked %s", r.URL)
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]market.Time{
		"1762795433.9717445":     1762795433_971744500,
		"1762795433":             1762795433_000000000,
		`"1762795433.5"`:         1762795433_500000000,
		"1.7627954339717445e9":   1762795433_971744500,
		"1762795433.12345678912": 0, // more digits than a Decimal has: no time
		"862795433.1234567899":   862795433_123456789,
		"-1":                     0,
		"0":                      0,
		"1e30":                   0,
		`"x"`:                    0,
		"null":                   0,
	} {
		if got := seconds(venue.Value(text)); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

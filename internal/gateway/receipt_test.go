package gateway

import (
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// TestReceiptOfAWrongBar falsifies the bar that history has: the receipt says so, and what it should be.
func TestReceiptOfAWrongBar(t *testing.T) {
	m := newMemTape()
	for i := range uint64(5) {
		m.Put("sim", trade("SIM:A", i+1, 100+int64(i), past0+market.Time(i)*market.Second))
	}
	b := serve(t, m, nil)
	query := "/v1/receipt?symbol=A&timeframe=1Min&t=" + past0.String()
	if code, _, body := b.get(query); code != 200 || !strings.Contains(body, `"matches":true,`) || strings.Contains(body, "recomputed") {
		t.Fatalf("got %d %s", code, body)
	}
	b.history.mu.Lock()
	for start, bar := range b.history.bars["SIM:A"][market.Min1()] {
		bar.High = dec("9.99")
		b.history.bars["SIM:A"][market.Min1()][start] = bar
	}
	b.history.mu.Unlock()
	code, h, body := b.get(query)
	if code != 200 || !strings.Contains(body, `"matches":false,"recomputed":{"o":1.00,"h":1.04,`) || h.Get(AdjustmentHeader) != "raw" {
		t.Fatalf("got %d %s", code, body)
	}
	// A trade that came while the receipt was made is not in it.
	b.history.mu.Lock()
	for start, bar := range b.history.bars["SIM:A"][market.Min1()] {
		bar.High, bar.Close, bar.CloseAt, bar.CloseSeq, bar.LastSeq, bar.Count = dec("1.03"), dec("1.03"), past0+3*market.Second, 4, 4, 4
		bar.Volume, bar.Turnover = market.WideOf(dec("400")), market.WideOf(dec("406.00"))
		b.history.bars["SIM:A"][market.Min1()][start] = bar
	}
	b.history.mu.Unlock()
	if code, _, body := b.get(query); code != 200 || !strings.Contains(body, `"matches":true,`) || !strings.Contains(body, `"first":1,"last":4,`) {
		t.Fatalf("got %d %s", code, body)
	}
	// As of a moment the forming bar is made of the trades, whatever is stored.
	code, h, body = b.get(query + "&at=" + (past0 + 2*market.Second + 1_000_000).String())
	if code != 200 || !strings.Contains(body, `"matches":true,`) || !strings.Contains(body, `"h":1.02,`) || h.Get(AtHeader) == "" {
		t.Fatalf("got %d %s", code, body)
	}
}

// TestReceiptOfAMonth bounds what a receipt tells of the time of its bar, and says where the rest is.
func TestReceiptOfAMonth(t *testing.T) {
	r := &receipt{reasons: map[string]uint64{}, rules: &market.Rules{}}
	var spans []covered
	for i := range market.Time(2*receiptMost + 1) {
		spans = append(spans, covered{market.Span{From: past0 + i*market.Second, To: past0 + (i+1)*market.Second}, cover(1 + i%2)})
	}
	text := string(r.append(nil, &market.Bar{Imported: true}, "", nil, spans))
	if n := strings.Count(text, `"state":`); n != receiptMost {
		t.Errorf("%d spans are listed", n)
	}
	want := `,"coverageSeconds":{"live":1001,"quiet":1000},"coverageNext":"` + (past0 + receiptMost*market.Second).String() + `"}`
	if !strings.HasSuffix(strings.TrimSpace(text), want) {
		t.Errorf("got …%s, want …%s", text[len(text)-120:], want)
	}
	short := string(r.append(nil, &market.Bar{Imported: true}, "", nil, spans[:1]))
	if strings.Contains(short, "coverageNext") || !strings.Contains(short, `"coverageSeconds":{"live":1}`) {
		t.Errorf("got %s", short)
	}
}

// TestBarTallyDigits keeps the digits of the finest of equal prices, and the trade that came first.
func TestBarTallyDigits(t *testing.T) {
	var sum barTally
	for i, price := range []string{"1.5", "1.50", "1.500", "1.5"} {
		key := market.TickKey{Event: past0 - market.Time(i), Seq: uint64(i + 1)}
		if _, err := sum.add(key, dec(price), dec("1"), market.EffectAll); err != nil {
			t.Fatal(err)
		}
	}
	b := sum.bar(&market.Bar{})
	if got := string(appendBar(nil, &b)); !strings.HasPrefix(got, `"o":1.5,"h":1.500,"l":1.500,"c":1.5,"v":4,`) {
		t.Error(got)
	}
	// A price that is last only if first stands for the close until another may set it.
	sum = barTally{}
	for i, e := range []market.Effect{market.EffectVolume, market.EffectVolume | market.EffectHighLow, market.EffectAll} {
		key := market.TickKey{Event: past0 - market.Time(i), Seq: uint64(i + 1)}
		if _, err := sum.add(key, dec("1"), dec("1"), e); err != nil {
			t.Fatal(err)
		}
		if got, want := sum.closed, i == 2; got != want || sum.priced != (i > 0) {
			t.Errorf("after %d: %+v", i, sum)
		}
	}
}

package server

import (
	"fmt"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// BenchmarkPast asks for the receipt of a day of 450,000 trades, and for what 500 symbols were at a moment within a day.
func BenchmarkPast(b *testing.B) {
	src := &tapetest.Memory{Epoch: tape.Epoch{9}, Chunk: 1000}
	var entries []market.Entry
	put := func(e market.Entry) {
		if entries = append(entries, e); len(entries) == 5000 {
			src.Put("sim", entries...)
			entries = nil
		}
	}
	day := begin2024.Floor(24 * market.Hour)
	trade := trader("SIM:BUSY")
	const n, symbols = 450_000, 500
	for i := range n {
		put(trade(day+market.Time(i)*24*market.Hour/n, 0))
	}
	var list []string
	for i := range symbols {
		s := fmt.Sprintf("SIM:S%d", i)
		list = append(list, s)
		trade := trader(market.Symbol(s))
		for j := range 600 {
			put(trade(day+market.Time(j)*4*market.Minute, 0))
		}
	}
	src.Put("sim", entries...)
	p := pastOf(b, src)
	all := strings.Join(list, ",")
	at := "at=" + (day + 20*market.Hour + 12345).String()
	for name, path := range map[string]string{
		"receipt-450k": "/v1/receipt?symbol=SIM:BUSY&timeframe=1Day&t=" + day.String(),
		"day-at":       "/v2/stocks/SIM:BUSY/bars/?timeframe=1Day&start=2024-03-01&" + at,
		"minutes-at":   "/v2/stocks/SIM:BUSY/bars?timeframe=1Min&limit=500&sort=desc&start=2024-03-01&" + at,
		"snapshot-at":  "/v2/stocks/SIM:BUSY/snapshot?" + at,
		"snapshots-at": "/v2/stocks/snapshots?symbols=" + all + "&" + at,
		"coverage":     "/v1/coverage?symbol=SIM:BUSY&from=2024-01-01&to=2024-04-01",
	} {
		path = strings.Replace(path, "/bars/?", "/bars?", 1)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if code, text := p.get(path); code != 200 {
					b.Fatal(code, text)
				}
			}
		})
	}
}

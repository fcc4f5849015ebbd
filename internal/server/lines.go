package server

import (
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/line"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/binance"
	"tapedeck/internal/venue/bybit"
	"tapedeck/internal/venue/coinbase"
	"tapedeck/internal/venue/kraken"
	"tapedeck/internal/venue/mapping"
	"tapedeck/internal/venue/okx"
)

// lines are the feeds that are WebSocket connections to a market.
func lines() []feed.Adapter {
	kinds := []line.Kind{
		{Scheme: "coinbase", New: newCoinbase},
		{Scheme: "binance", Params: []string{"key", "trades"}, New: newBinance},
		{Scheme: "kraken", New: newKraken},
		{Scheme: "okx", Params: []string{"trades"}, New: newOKX},
		{Scheme: "bybit", Params: []string{"category", "quotes"}, New: newBybit},
		jsonKind("ws+json"),
		jsonKind("wss+json"),
	}
	kinds = append(kinds, vendorKinds()...)
	adapters := make([]feed.Adapter, 0, len(kinds))
	for _, k := range kinds {
		adapters = append(adapters, line.Adapter(k))
	}
	return adapters
}

func newCoinbase(u *feed.URL) (venue.Venue, error) {
	return coinbase.New(coinbase.Options{Venue: u.Venue, URL: u.Get("url"), REST: u.Get("rest")})
}

func newBinance(u *feed.URL) (venue.Venue, error) {
	aggregated, err := aggregated(u)
	if err != nil {
		return nil, err
	}
	key, err := u.Secret("key")
	if err != nil {
		return nil, err
	}
	return binance.New(binance.Options{Venue: u.Venue, URL: u.Get("url"), REST: u.Get("rest"), Key: key, Aggregated: aggregated})
}

func newKraken(u *feed.URL) (venue.Venue, error) {
	return kraken.New(kraken.Options{Venue: u.Venue, URL: u.Get("url"), REST: u.Get("rest")})
}

func newOKX(u *feed.URL) (venue.Venue, error) {
	aggregated, err := aggregated(u)
	if err != nil {
		return nil, err
	}
	return okx.New(okx.Options{Venue: u.Venue, URL: u.Get("url"), REST: u.Get("rest"), Aggregated: aggregated})
}

func newBybit(u *feed.URL) (venue.Venue, error) {
	o := bybit.Options{Venue: u.Venue, URL: u.Get("url"), REST: u.Get("rest"), Category: u.Get("category")}
	switch u.Get("quotes") {
	case "", "book":
	case "tickers":
		o.Tickers = true
	default:
		return nil, u.Errorf("quotes", "want book or tickers")
	}
	return bybit.New(o)
}

// aggregated reads which of a venue's two streams of trades is meant.
func aggregated(u *feed.URL) (bool, error) {
	switch u.Get("trades") {
	case "", "single":
		return false, nil
	case "aggregated":
		return true, nil
	}
	return false, u.Errorf("trades", "want single or aggregated")
}

// jsonKind is any WebSocket that sends JSON, read as the URL says.
func jsonKind(scheme string) line.Kind {
	place := func(u *feed.URL) mapping.Place {
		return mapping.Place{Scheme: u.Scheme, Target: u.Target, Venue: u.Venue}
	}
	return line.Kind{
		Scheme: scheme, Params: mapping.StreamParams(),
		Check: func(u *feed.URL) error { return mapping.Check(place(u), u) },
		New: func(u *feed.URL) (venue.Venue, error) {
			m, err := mapping.Parse(place(u), u)
			if err != nil {
				return nil, err
			}
			return m.Venue(), nil
		},
		Names: func(u *feed.URL) []string {
			m, err := mapping.Parse(place(u), u)
			if err != nil {
				return nil // New has said so.
			}
			return m.Symbols
		},
	}
}

package server

import (
	"tapedeck/internal/feed"
	"tapedeck/internal/gateway"
)

// feedInfos tells of the feeds.
func (n *node) feedInfos() []gateway.FeedInfo {
	infos := make([]gateway.FeedInfo, 0, len(n.runners))
	for _, r := range n.runners {
		info := r.Info()
		infos = append(infos, feedInfo(&info))
	}
	return infos
}

func feedInfo(i *feed.Info) gateway.FeedInfo {
	r := &i.Report
	info := gateway.FeedInfo{
		Name: i.Name, URL: i.URL, State: feedState(i.State), Since: i.Since, Error: i.Error, Rate: i.Rate, LastTick: i.LastTick, Latency: i.Latency,
		Symbols: r.Carried, Label: i.Label, Venue: i.Venue, Carried: r.Symbols, Connections: r.Connections, Reconnects: r.Reconnects,
		ClockOffset: r.Clock, ClockKnown: r.ClockKnown, Received: r.Received, Taped: r.Taped,
		Filled: r.Filled, Unfilled: r.Unfilled, Backfilled: r.Backfilled, Duplicates: r.Duplicates, Dropped: r.Dropped,
	}
	for _, s := range r.Refused {
		info.Refused = append(info.Refused, gateway.RefusedSymbol(s))
	}
	for _, g := range r.Gaps {
		info.Gaps = append(info.Gaps, gateway.FeedGap(g))
	}
	return info
}

package gateway

// feedSchemas are those of /v1/feeds.
func feedSchemas(s object) {
	seconds := func(description string) object { return orNull(number(description)) }
	s["Delays"] = members("count p50 p99 buckets", object{
		"count": whole0("Messages that were measured in the last minute."), "p50": number("Seconds that half of them took at most."),
		"p99":     number("Seconds that 99 of 100 took at most."),
		"buckets": list(members("to n", object{"to": number("Seconds, inclusive; the bucket begins where the one before it ends."), "n": whole0("How many.")})),
	})
	delays := orNull(ref("Delays"))
	gap := members("symbol from to reason filled ticks noted", object{
		"symbol": text("VENUE:NAME; * for every symbol of the feed."), "from": orNull(moment0("Last event before it.")), "to": orNull(moment0("First event after it.")),
		"reason": text("Why ticks may be missing."), "filled": truth("What was missing was fetched."), "ticks": whole0("How many were fetched."),
		"noted": orNull(moment0("When it was put on the tape.")),
	})
	s["Feed"] = members("name url state since error rate lastTick age latency symbols label venue carried connections reconnects clockOffset delays gapsFilled gapsUnfilled "+
		"backfilled duplicates dropped refused gaps", object{
		"name": text("Name."), "url": text("Address, without secrets."), "state": text("live, connecting, stale, down or done."),
		"since": orNull(moment0("Beginning of the state.")), "error": text("Why it is not live."), "rate": number("Ticks a second."),
		"lastTick": orNull(moment0("Arrival of the last tick.")), "age": seconds("Seconds since the last tick."),
		"latency": seconds("Seconds from the venue's time to receipt, the mean of late."), "symbols": whole0("How many symbols it brings."),
		"label": text("How its symbols must be marked, such as SIM."), "venue": text("First part of its symbols."),
		"carried": list(text("A symbol that it brings; at most a thousand are told.")), "connections": whole0("Connections to the venue that are up."),
		"reconnects":  whole0("Connections that were made in place of one that ended, and attempts at it."),
		"clockOffset": seconds("Seconds that the venue's clock is ahead of ours, about."),
		"delays":      members("received taped", object{"received": delays, "taped": delays}),
		"gapsFilled":  whole0("Gaps that were filled from the venue's history."), "gapsUnfilled": whole0("Gaps that were not."),
		"backfilled": whole0("Ticks that were fetched after the fact."), "duplicates": whole0("Trades that came again and were left out."),
		"dropped": keyed(whole0("How many, under this reason.")),
		"refused": list(members("symbol reason", object{"symbol": text("VENUE:NAME."), "reason": text("In the venue's words.")})),
		"gaps":    list(gap),
	})
	s["Feeds"] = members("feeds sent", object{"feeds": list(ref("Feed")), "sent": delays})
}

package gateway

import (
	"maps"
	"strings"
)

// object is a piece of a document.
type object = map[string]any

// ref points to a schema of the document.
func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func list(of object) object { return object{"type": "array", "items": of} }

func text(description string) object { return object{"type": "string", "description": description} }

func number(description string) object { return object{"type": "number", "description": description} }

func whole0(description string) object {
	return object{"type": "integer", "minimum": 0, "description": description}
}

func truth(description string) object { return object{"type": "boolean", "description": description} }

func moment0(description string) object {
	return object{"type": "string", "format": "date-time", "description": description}
}

func oneOf(words ...string) object { return object{"type": "string", "enum": words} }

// keyed is an object with a member for each symbol, named as the request wrote it.
func keyed(of object) object { return object{"type": "object", "additionalProperties": of} }

// orNull lets a schema be null too.
func orNull(schema object) object { return object{"anyOf": []object{schema, {"type": "null"}}} }

// members is an object; the names of required members are parted by spaces.
func members(required string, properties object) object {
	o := object{"type": "object", "properties": properties}
	if names := strings.Fields(required); len(names) > 0 {
		o["required"] = names
	}
	return o
}

// with is an object that has more members.
func with(base object, required string, more object) object {
	properties, _ := base["properties"].(object)
	all := maps.Clone(properties)
	maps.Copy(all, more)
	had, _ := base["required"].([]string)
	return members(strings.Join(had, " ")+" "+required, all)
}

// tickSchemas are the rows of history, without what a stream puts before them.
func tickSchemas() object {
	return object{
		"Trade": members("i p s t c seq r", object{
			"i": whole0("The venue's number of the trade; ours where it has none."), "p": number("Price, with the venue's digits."),
			"s": number("Size."), "t": orNull(moment0("The venue's time.")), "x": text("Exchange."), "c": list(text("Condition of the trade.")),
			"z": text("Tape of a US stock: A, B or C."), "tks": oneOf("B", "S"), "ref": text("The venue's name of the trade, where it is not a number."),
			"seq": whole0("Number among the trades of the symbol: 1, 2, 3 … without a hole."), "r": orNull(moment0("When it was received.")),
		}),
		"Quote": members("bp bs ap as t c seq r", object{
			"bp": number("Bid."), "bs": number("Size of the bid."), "ap": number("Ask."), "as": number("Size of the ask."), "bx": text("Exchange of the bid."),
			"ax": text("Exchange of the ask."), "t": orNull(moment0("The venue's time.")), "c": list(text("Condition of the quote.")), "z": text("Tape of a US stock: A, B or C."),
			"seq": whole0("Number among the quotes of the symbol: 1, 2, 3 … without a hole."), "r": orNull(moment0("When it was received.")),
		}),
		"Bar": members("o h l c v t n vw", object{
			"o": number("Open."), "h": number("High."), "l": number("Low."), "c": number("Close."), "v": number("Volume."), "t": moment0("Start of the bar."),
			"n": whole0("Trades."), "vw": number("Average price, by volume."), "gappy": truth("A gap lies in the bar: trades may be missing."),
			"imported": truth("A file brought it as a bar: its trades are not known."), "cov": ref("Seconds"),
		}),
	}
}

// pageSchemas are answers of the historical endpoints for rows of a kind, such as ("Trades", "trades", "trade", "Trade").
func pageSchemas(into object, title, many, one, row string) {
	token := orNull(text("Asks for the next page when it is given as page_token; null on the last one."))
	into[title+"Of"] = members(many+" symbol next_page_token", object{many: list(ref(row)), "symbol": text("As the request wrote it."), "next_page_token": token})
	into[title] = members(many+" next_page_token", object{many: keyed(list(ref(row))), "next_page_token": token})
	into["Latest"+title] = members(many, object{many: keyed(ref(row))})
	into["Latest"+row] = members("symbol "+one, object{"symbol": text("As the request wrote it."), one: orNull(ref(row))})
}

// schemas are the shapes of all answers.
func schemas() object {
	s := tickSchemas()
	pageSchemas(s, "Trades", "trades", "trade", "Trade")
	pageSchemas(s, "Quotes", "quotes", "quote", "Quote")
	pageSchemas(s, "Bars", "bars", "bar", "Bar")
	snapshot := members("", object{
		"latestTrade": ref("Trade"), "latestQuote": ref("Quote"), "minuteBar": ref("Bar"), "dailyBar": ref("Bar"), "prevDailyBar": ref("Bar"),
	})
	s["Snapshot"] = snapshot
	s["SnapshotOf"] = with(snapshot, "symbol", object{"symbol": text("As the request wrote it.")})
	s["Snapshots"] = keyed(ref("Snapshot"))
	s["CryptoSnapshots"] = members("snapshots", object{"snapshots": ref("Snapshots")})
	s["HistoryRow"] = members("id timestamp symbol price", object{
		"id": whole0("Number on the tape."), "timestamp": orNull(moment0("The venue's time.")), "symbol": text("VENUE:NAME."), "price": number("Price."),
	})
	s["Alive"] = members("status", object{"status": object{"const": "ok"}})
	s["Ready"] = members("status parts", object{
		"status": oneOf("ready", "not ready"), "version": text("Of the program."),
		"parts": keyed(members("ready", object{"ready": truth("The part does its work."), "reason": text("Why it is not ready."), "note": text("Anything else.")})),
	})
	s["Problem"] = members("type title status detail message", object{
		"type": text("about:blank."), "title": text("The status in words."), "status": object{"type": "integer", "minimum": 400, "maximum": 599},
		"detail": text("What is wrong, and what to do."), "message": text("As detail, where Alpaca's libraries look for it."),
		"parameter": text("What is wrong in the request."), "value": text("What it was."), "reason": oneOf("epoch", "trimmed", "future"),
		"oldest": moment0("The oldest time that can be had."), "candidates": list(text("A symbol that an ambiguous name may stand for.")),
		"near": list(text("A symbol with a similar name.")),
	})
	listingSchemas(s)
	evidenceSchemas(s)
	udfSchemas(s)
	return s
}

func listingSchemas(s object) {
	last := members("p s t", object{"p": number("Price."), "s": number("Size."), "t": orNull(moment0("The venue's time."))})
	quote := members("bp bs ap as t", object{
		"bp": number("Bid."), "bs": number("Size of the bid."), "ap": number("Ask."), "as": number("Size of the ask."), "t": orNull(moment0("The venue's time.")),
	})
	s["Symbols"] = members("symbols", object{"symbols": list(ref("Symbol"))})
	s["Symbol"] = members("symbol venue name feed state calendar decimals last quote day prevClose carried tick lot", object{
		"symbol": text("VENUE:NAME."), "venue": text("Venue."), "name": text("Name at the venue."), "feed": text("Where its ticks come from."),
		"state": ref("State"), "calendar": text("Trading calendar."), "decimals": whole0("Digits after the point of its prices."), "last": orNull(last),
		"quote": orNull(quote), "day": orNull(ref("Bar")), "prevClose": orNull(number("Close of the trading day before.")), "label": text("How it must be marked, such as SIM."),
		"carried": truth("Ticks of it came; false for one that its venue only lists."), "tick": orNull(number("Smallest step of its price, where its venue says it.")),
		"lot": orNull(number("Smallest step of its size, where its venue says it.")), "resting": truth("It is listed, and not traded now."),
	})
	s["State"] = oneOf("live", "stale", "down", "closed", "halted", "unknown")
	feedSchemas(s)
	alertSchemas(s)
	s["ImportFile"] = members("id name rows", object{
		"id": text("SHA-256 of the file and of what decides its rows, in hex."), "name": text("Of the file."), "rows": whole0("Rows of the file, 0 when not known."),
	})
	s["ImportStand"] = members("rows done recorded", object{
		"rows": whole0("Rows of the file that are taken care of."), "done": truth("That was all of the file."), "recorded": truth("History has all of it."),
	})
}

// evidenceSchemas say what is known of which time, and what a bar was made of.
func evidenceSchemas(s object) {
	states := []string{"live", "backfilled", "imported", "quiet", "closed", "blind"}
	seconds := object{}
	for _, name := range states {
		seconds[name] = whole0("Seconds in this state.")
	}
	s["Seconds"] = members("", seconds)
	span := members("from to state", object{"from": moment0("First moment."), "to": moment0("Exclusive."), "state": oneOf(states...)})
	s["Coverage"] = members("symbol from to seconds spans", object{
		"symbol": text("VENUE:NAME."), "from": moment0("First moment."), "to": moment0("Exclusive."), "seconds": ref("Seconds"), "spans": list(span),
		"next": moment0("There are more spans, from here."),
	})
	trade := orNull(ref("Trade"))
	change := func(what string) object {
		return object{"type": "array", "items": orNull(object{"type": "number"}), "minItems": 2, "maxItems": 2, "description": what + " before and after."}
	}
	revision := members("seq t r p s", object{
		"seq": whole0("Number of the trade that came late."), "t": orNull(moment0("Its time.")), "r": orNull(moment0("When it was received.")), "p": number("Its price."), "s": number("Its size."),
		"o": change("Open"), "h": change("High"), "l": change("Low"), "c": change("Close"), "v": change("Volume"), "n": change("Trades"),
	})
	s["Receipt"] = members("symbol timeframe start end calendar rules bar final rev imported coverage", object{
		"symbol": text("VENUE:NAME."), "timeframe": text("Interval of the bar."), "start": moment0("Start of the bar."), "end": moment0("Exclusive."),
		"calendar": text("Trading calendar."), "rules": text("Rules of which trades count for what."), "bar": ref("Bar"), "final": truth("The bar has closed."),
		"rev": whole0("How often it has changed since it closed."), "imported": truth("A file brought it as a bar: its trades are not known."),
		"matches": truth("The trades make the bar."), "recomputed": ref("Bar"), "open": trade, "high": trade, "low": trade, "close": trade,
		"volume": members("trades v turnover first last list next_page_token", object{
			"trades": whole0("How many count for volume."), "v": number("Their sizes together."), "turnover": number("Price × size of all, together."), "first": whole0("Smallest seq."),
			"last": whole0("Largest seq."), "list": list(ref("Trade")), "next_page_token": orNull(text("Asks for more of the list.")),
		}),
		"leftOut": members("count reasons list", object{
			"count": whole0("Trades that did not count for all."), "reasons": keyed(object{"type": "integer"}),
			"list": list(members("trade of why", object{"trade": ref("Trade"), "of": list(text("What it did not count for.")), "why": text("Why.")})),
		}),
		"late":     members("count revisions", object{"count": whole0("Trades that came after the bar had closed."), "revisions": list(revision)}),
		"coverage": list(span), "coverageSeconds": keyed(object{"type": "integer", "description": "Seconds of the bar in that state."}),
		"coverageNext": moment0("Where /v1/coverage goes on, when the list is cut."),
	})
}

// udfSchemas are those of TradingView's protocol, as far as it is served here.
func udfSchemas(s object) {
	word := text("A word of the protocol.")
	words := list(word)
	s["UDFError"] = members("s errmsg", object{"s": object{"const": "error"}, "errmsg": text("What is wrong.")})
	s["UDFConfig"] = members("supports_search supports_group_request supports_marks supports_timescale_marks supports_time supported_resolutions", object{
		"supports_search": truth("Always true."), "supports_group_request": truth("Always false."), "supports_marks": truth("Always true."),
		"supports_timescale_marks": truth("Always true."), "supports_time": truth("Always true."), "supported_resolutions": words,
		"exchanges":     list(members("value name desc", object{"value": word, "name": word, "desc": word})),
		"symbols_types": list(members("name value", object{"name": word, "value": word})),
	})
	s["UDFSearch"] = list(members("symbol full_name description exchange ticker type", object{
		"symbol": word, "full_name": word, "description": word, "exchange": word, "ticker": word, "type": word,
	}))
	info := object{}
	for name := range strings.FieldsSeq("name ticker description type exchange listed_exchange format visible_plots_set timezone session session_holidays corrections " +
		"subsession_id data_status currency_code") {
		info[name] = word
	}
	for name := range strings.FieldsSeq("minmov minmove2 pricescale volume_precision delay") {
		info[name] = object{"type": "integer"}
	}
	for name := range strings.FieldsSeq("fractional has_empty_bars has_ticks has_intraday has_seconds has_daily has_weekly_and_monthly") {
		info[name] = object{"type": "boolean"}
	}
	for name := range strings.FieldsSeq("intraday_multipliers seconds_multipliers daily_multipliers weekly_multipliers monthly_multipliers supported_resolutions") {
		info[name] = words
	}
	info["subsessions"] = list(object{"type": "object", "additionalProperties": true})
	s["UDFSymbol"] = members("name ticker description type session timezone exchange listed_exchange minmov pricescale supported_resolutions", info)
	numbers := list(object{"type": "number"})
	s["UDFHistory"] = object{"oneOf": []object{
		members("s t o h l c v", object{
			"s": object{"const": "ok"}, "t": list(object{"type": "integer"}), "o": numbers, "h": numbers, "l": numbers, "c": numbers, "v": numbers,
		}),
		members("s", object{"s": object{"const": "no_data"}, "nextTime": object{"type": "integer"}}),
		ref("UDFError"),
	}}
	values := object{}
	for name := range strings.FieldsSeq("ch chp lp ask bid spread open_price high_price low_price prev_close_price volume") {
		values[name] = object{"type": "number"}
	}
	for name := range strings.FieldsSeq("short_name exchange description original_name") {
		values[name] = word
	}
	s["UDFQuotes"] = members("s d", object{
		"s": oneOf("ok", "error"), "d": list(members("s n v", object{"s": oneOf("ok", "error"), "n": text("As requested."), "v": members("", values)})),
	})
	mark := object{
		"id": word, "time": object{"type": "integer"}, "color": word, "text": word, "label": word, "labelFontColor": word, "minSize": object{"type": "integer"},
	}
	s["UDFMarks"] = list(members("id time color text label", mark))
	s["UDFTimescaleMarks"] = list(members("id time color label tooltip", object{
		"id": word, "time": object{"type": "integer"}, "color": word, "label": word, "labelFontColor": word, "tooltip": words, "shape": word,
	}))
}

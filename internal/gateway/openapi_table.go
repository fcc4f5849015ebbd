package gateway

import (
	"net/http"
	"strconv"
	"strings"
)

// operation describes what a route does. The table of all is what the document, the page of it and their tests are made of.
type operation struct {
	method   string // GET when empty
	path     string
	id       string
	group    string
	summary  string
	detail   string
	params   []param
	body     *content
	answers  []content
	errors   []int
	upgrades bool // to a WebSocket
	anyQuery bool // parameters that are not described are passed over
}

// param is a parameter of a request.
type param struct {
	name     string
	in       string // query when empty
	schema   object
	detail   string
	required bool
	example  any
}

// content is a body: its media type and its schema.
type content struct {
	status int // 200 when 0
	media  string
	schema object
}

func jsonOf(schema string) content { return content{media: "application/json", schema: ref(schema)} }

// groups are those of the operations, in the order in which they are shown.
func groups() []string {
	return []string{"History", "Newest", "Symbols and feeds", "Streams", "Alerts", "Charts", "Imports", "Health", "Documents"}
}

func groupDetail(name string) string {
	switch name {
	case "History":
		return "Trades, quotes and bars of any span: in pages as Alpaca's market data has them, or as files."
	case "Newest":
		return "The newest trade, quote and bar, and snapshots of all."
	case "Symbols and feeds":
		return "What there is, where it comes from, and what is known of which time."
	case "Streams":
		return "Ticks as they happen, and the past as it happened."
	case "Alerts":
		return "Rules that watch the tape, and what they fired."
	case "Charts":
		return "TradingView's Universal Data Feed. Errors have status 200 there, and parameters that are not known are passed over."
	case "Imports":
		return "Files onto the tape."
	case "Health":
		return "For those who run the server."
	}
	return "Descriptions of all this."
}

// timeSchema is how times are given in requests.
func timeSchema() object {
	return object{"type": "string", "description": "RFC 3339, a date (its midnight UTC), or an epoch in seconds, milliseconds, microseconds or nanoseconds."}
}

func timeParam(name, detail string) param {
	return param{name: name, schema: timeSchema(), detail: detail, example: "2026-11-23T14:30:00Z"}
}

func asAt() param {
	return timeParam(atParam, "Answer as if it were this moment: from what had been received by then.")
}

func symbolsParam(limit int) param {
	return param{
		name: "symbols", required: true, example: "AAPL,BTC/USD", schema: object{"type": "string", "minLength": 1},
		detail: "At most " + strconv.Itoa(limit) + " symbols with commas between them. VENUE:NAME, or a bare name where one venue has it.",
	}
}

func symbolInPath() param {
	return param{name: "symbol", in: "path", required: true, example: "AAPL", schema: object{"type": "string"}, detail: "VENUE:NAME, or a bare name where one venue has it; a slash is written %2F."}
}

func oneSymbol() param {
	return param{name: "symbol", required: true, example: "AAPL", schema: object{"type": "string"}, detail: "VENUE:NAME, or a bare name where one venue has it."}
}

func untouched(names ...string) []param {
	var list []param
	for _, name := range names {
		list = append(list, param{name: name, schema: object{"type": "string"}, detail: "Taken for the sake of Alpaca's libraries; makes no difference."})
	}
	return list
}

// rowParams are the parameters of routes of ticks and bars.
func (g *Gateway) rowParams() []param {
	return append([]param{
		timeParam("start", "First time, inclusive. Without start and end: from midnight UTC of the day of the newest tick."),
		timeParam("end", "Last time, inclusive; a date is the whole day."),
		{
			name: "limit", schema: object{"type": "integer", "minimum": 1, "default": min(usualPage, g.opt.Limits.Page)},
			detail: "Rows of a page, at most " + strconv.Itoa(g.opt.Limits.Page) + ". In the formats of files: rows in all, without a limit of ours and all when it is not given.",
		},
		{name: "sort", schema: object{"type": "string", "enum": []string{"asc", "desc"}, "default": "asc"}, detail: "By time."},
		{
			name: "format", schema: object{"type": "string", "enum": append([]string{"json"}, ExportFormats()...), "default": "json"},
			detail: "json has pages. The others are files with all rows, however many: csv with a header, jsonl with a JSON object a line, parquet, and arrow, the stream format of Arrow.",
		},
		{name: "page_token", schema: object{"type": "string"}, detail: "The next_page_token of the page before, with all other parameters as they were. Not with the formats of files."},
		asAt(),
	}, untouched("feed", "asof", "currency")...)
}

func barParams() []param {
	return []param{
		{
			name: "coverage", schema: object{"type": "string", "enum": []string{"false", "true"}, "default": "false"},
			detail: "Tell of each bar how much of it is live, backfilled, imported, quiet, closed or blind. Not with the formats of files.",
		},
		{
			name: "timeframe", required: true, example: "5Min", schema: object{"type": "string", "minLength": 1},
			detail: "1Sec to 59Sec, 1Min to 59Min, 1Hour to 23Hour, 1Day, 1Week, 1Month to 12Month.",
		},
		{
			name: "adjustment", schema: object{"type": "string", "default": "raw"},
			detail: "Of " + strings.Join(adjustments(), ", ") + ", parted by commas. None makes a difference: bars are adjusted for nothing.",
		},
	}
}

// fileContents are the formats of files, beside JSON.
func fileContents(first content) []content {
	list := []content{first}
	for _, format := range ExportFormats() {
		media, _ := exportType(format)
		list = append(list, content{media: media, schema: object{"type": "string"}})
	}
	return list
}

// dataOperations are the routes that dataRoutes registers.
func (g *Gateway) dataOperations() []operation {
	limit := g.opt.Limits.Symbols
	var ops []operation
	common := append(untouched("feed", "currency"), asAt())
	for _, k := range [...]struct{ many, row string }{{"trades", "Trade"}, {"quotes", "Quote"}, {"bars", "Bar"}} {
		title := strings.ToUpper(k.many[:1]) + k.many[1:]
		rows := g.rowParams()
		if k.many == "bars" {
			rows = append(barParams(), rows...)
		}
		for _, p := range [...]struct{ prefix, id string }{{"/v2/stocks", "stock"}, {"/v1beta3/crypto/us", "crypto"}} {
			ops = append(ops, operation{
				path: p.prefix + "/" + k.many, id: p.id + title, group: "History", summary: title + " of several symbols",
				params: append([]param{symbolsParam(limit)}, rows...), answers: fileContents(jsonOf(title)), errors: []int{400, 404, 503},
			})
		}
		ops = append(ops, operation{
			path: "/v2/stocks/{symbol}/" + k.many, id: "stock" + title + "Of", group: "History", summary: title + " of a symbol",
			params: append([]param{symbolInPath()}, rows...), answers: fileContents(jsonOf(title + "Of")), errors: []int{400, 404, 503},
		})
		for _, p := range [...]struct{ path, id string }{{"/v2/stocks/" + k.many + "/latest", "stock"}, {"/v1beta3/crypto/us/latest/" + k.many, "crypto"}} {
			ops = append(ops, operation{
				path: p.path, id: p.id + "Latest" + title, group: "Newest", summary: "The newest of " + k.many + " of several symbols",
				params: append([]param{symbolsParam(limit)}, common...), answers: []content{jsonOf("Latest" + title)}, errors: []int{400, 404, 503},
			})
		}
		ops = append(ops, operation{
			path: "/v2/stocks/{symbol}/" + k.many + "/latest", id: "stockLatest" + k.row, group: "Newest", summary: "The newest of " + k.many + " of a symbol",
			params: append([]param{symbolInPath()}, common...), answers: []content{jsonOf("Latest" + k.row)}, errors: []int{400, 404, 503},
		})
	}
	for _, p := range [...]struct{ path, id, schema string }{
		{"/v2/stocks/snapshots", "stockSnapshots", "Snapshots"}, {"/v1beta3/crypto/us/snapshots", "cryptoSnapshots", "CryptoSnapshots"},
	} {
		ops = append(ops, operation{
			path: p.path, id: p.id, group: "Newest", summary: "The newest of all of several symbols",
			params: append([]param{symbolsParam(limit)}, common...), answers: []content{jsonOf(p.schema)}, errors: []int{400, 404, 503},
		})
	}
	return append(ops, operation{
		path: "/v2/stocks/{symbol}/snapshot", id: "stockSnapshot", group: "Newest", summary: "The newest of all of a symbol",
		params: append([]param{symbolInPath()}, common...), answers: []content{jsonOf("SnapshotOf")}, errors: []int{400, 404, 503},
	})
}

// streamOperations are the streams. What they say is in the other document.
func streamOperations() []operation {
	past := []param{
		timeParam("from", "Play the past from here."),
		{name: "cursor", schema: object{"type": "string"}, detail: "Play from behind this cursor. Not with from."},
		timeParam("to", "Stop here."),
		{name: "speed", schema: object{"type": "string"}, example: "10", detail: "0.1 to 10000 times as fast as it was, or max; 1 when it is not given."},
	}
	encoding := param{name: "encoding", schema: object{"type": "string", "enum": []string{"json", "msgpack"}, "default": "json"}, detail: "Of all messages."}
	var ops []operation
	for _, s := range [...]struct{ path, id, summary string }{
		{"/v2/tape", "tape", "The stream"},
		{"/v2/iex", "iex", "The stream for libraries for stocks"},
		{"/v2/sip", "sip", "The same"},
		{"/v2/delayed_sip", "delayedSip", "The same"},
		{"/v2/test", "test", "The same"},
		{"/v1beta3/crypto/us", "crypto", "The stream for libraries for crypto"},
	} {
		ops = append(ops, operation{
			path: s.path, id: s.id + "Stream", group: "Streams", summary: s.summary, upgrades: true, params: append([]param{encoding}, past...),
			detail: "A WebSocket. Its messages are described in asyncapi.json.", errors: []int{400, 416, 426, 429, 503},
		})
	}
	symbol := param{name: "symbol", schema: object{"type": "string"}, example: "AAPL", detail: "All when it is not given."}
	ops = append(ops, operation{
		path: "/ws/prices", id: "pricesStream", group: "Streams", summary: "One message for each trade", upgrades: true,
		params: append([]param{symbol}, past...), detail: "A WebSocket.", errors: []int{400, 404, 416, 426, 429, 503},
	})
	var channels []param
	for _, name := range channelNames() {
		channels = append(channels, param{name: name, schema: object{"type": "string"}, example: "AAPL", detail: "Symbols with commas between them, or *."})
	}
	return append(ops, operation{
		path: "/v2/tape/sse", id: "events", group: "Streams", summary: "The stream as Server-Sent Events", errors: []int{400, 416, 429, 503},
		detail: "At least one channel must be named. Last-Event-ID goes on behind a cursor.",
		params: append(append(channels,
			param{name: "mode", schema: object{"type": "string", "enum": []string{"every", "latest"}, "default": "every"}, detail: "All ticks, or of each symbol the newest in each interval."},
			param{name: "every", schema: object{"type": "string", "default": "50ms"}, detail: "The interval of mode latest."}), past...),
		answers: []content{{media: "text/event-stream", schema: object{"type": "string"}}},
	})
}

// udfOperations are TradingView's protocol. What is wrong is answered with status 200 there.
func udfOperations() []operation {
	word := func(name, detail string, example any) param {
		return param{name: name, schema: object{"type": "string"}, detail: detail, example: example}
	}
	seconds := func(name, detail string) param {
		return param{name: name, schema: object{"type": "integer"}, detail: detail, example: 1_764_000_000}
	}
	symbol := word("symbol", "VENUE:NAME, or a bare name.", "SIM:AAPL")
	symbol.required = true
	resolution := word("resolution", "Minutes, or a number and S, D, W or M.", "5")
	span := []param{symbol, seconds("from", "Seconds since 1970, inclusive."), seconds("to", "Exclusive."), resolution}
	ops := []operation{
		{path: "/udf/config", id: "udfConfig", summary: "What the data feed can do", answers: []content{jsonOf("UDFConfig")}},
		{path: "/udf/time", id: "udfTime", summary: "The server's time in seconds", answers: []content{{media: "text/plain; charset=utf-8", schema: object{"type": "string"}}}},
		{
			path: "/udf/search", id: "udfSearch", summary: "Symbols by a part of their names", answers: []content{jsonOf("UDFSearch")},
			params: []param{word("query", "Part of the name.", "AA"), word("type", "Type of symbol.", "stock"), word("exchange", "Venue.", "SIM"), {name: "limit", schema: object{"type": "integer"}, detail: "Symbols at most."}},
		},
		{path: "/udf/symbols", id: "udfSymbol", summary: "What a chart must know of a symbol", params: []param{symbol}, answers: []content{{media: "application/json", schema: object{"anyOf": []object{ref("UDFSymbol"), ref("UDFError")}}}}},
		{
			path: "/udf/history", id: "udfHistory", summary: "Bars, as columns", answers: []content{jsonOf("UDFHistory")},
			params: append(append([]param(nil), span...), param{name: "countback", schema: object{"type": "integer"}, detail: "So many bars before to; outranks from.", example: 300}),
		},
		{
			path: "/udf/quotes", id: "udfQuotes", summary: "Last prices of several symbols", answers: []content{jsonOf("UDFQuotes")},
			params: []param{{name: "symbols", required: true, schema: object{"type": "string"}, detail: "With commas between them.", example: "SIM:AAPL"}},
		},
		{path: "/udf/marks", id: "udfMarks", summary: "Marks on bars: gaps and alerts", params: span, answers: []content{jsonOf("UDFMarks")}},
		{path: "/udf/timescale_marks", id: "udfTimescaleMarks", summary: "Marks on the axis of time", params: span, answers: []content{jsonOf("UDFTimescaleMarks")}},
		{path: "/udf/streaming", id: "udfStreaming", summary: "Trades as lines of JSON, for as long as one reads", answers: []content{{media: "application/x-json-stream; charset=utf-8", schema: object{"type": "string"}}}},
	}
	for i := range ops {
		ops[i].group, ops[i].anyQuery = "Charts", true
	}
	return ops
}

// operations are all routes that may be served, described.
func (g *Gateway) operations() []operation {
	row := content{media: "application/json", schema: list(ref("HistoryRow"))}
	ops := []operation{
		{path: "/health", id: "health", group: "Health", summary: "The process lives", answers: []content{jsonOf("Alive")}, anyQuery: true},
		{path: "/livez", id: "livez", group: "Health", summary: "The same", answers: []content{jsonOf("Alive")}, anyQuery: true},
		{
			path: "/readyz", id: "readyz", group: "Health", summary: "Every part does its work, or why not",
			answers: []content{jsonOf("Ready"), {status: http.StatusServiceUnavailable, media: "application/json", schema: ref("Ready")}}, errors: []int{400},
		},
		{path: "/metrics", id: "metrics", group: "Health", summary: "For Prometheus", anyQuery: true, answers: []content{{media: "text/plain", schema: object{"type": "string"}}}},
		{
			path: "/history", id: "history", group: "History", summary: "Trades, newest first",
			params: []param{
				{name: "limit", schema: object{"type": "integer", "minimum": 1, "maximum": g.opt.Limits.Rows, "default": min(100, g.opt.Limits.Rows)}, detail: "Trades at most."},
				{name: "symbol", schema: object{"type": "string"}, example: "AAPL", detail: "All when it is not given."},
				timeParam("from", "First time, inclusive."), timeParam("to", "Exclusive."),
				{name: "format", schema: object{"type": "string", "enum": []string{"json", "csv"}, "default": "json"}, detail: "A list, or a table with a header."},
				asAt(),
			},
			answers: []content{row, {media: "text/csv; charset=utf-8", schema: object{"type": "string"}}}, errors: []int{400, 404, 503},
		},
		{
			path: "/v1/symbols", id: "symbols", group: "Symbols and feeds", summary: "Every symbol that was seen, or what a search finds",
			params: []param{
				{name: "query", schema: object{"type": "string"}, example: "BTC", detail: "Part of a symbol. What venues list is found as well, also where no tick of it came."},
				{name: "limit", schema: object{"type": "integer", "minimum": 1, "maximum": symbolsFoundMost, "default": symbolsFound}, detail: "Of a search: symbols at most."},
				asAt(),
			},
			answers: []content{jsonOf("Symbols")}, errors: []int{400, 503},
		},
		{path: "/v1/feeds", id: "feeds", group: "Symbols and feeds", summary: "Every feed", answers: []content{jsonOf("Feeds")}, errors: []int{400}},
		{
			path: "/v1/coverage", id: "coverage", group: "Symbols and feeds", summary: "What is known of which time, and how it is known",
			params: []param{
				oneSymbol(), timeParam("from", "First time, inclusive; a day before to when it is not given."), timeParam("to", "Exclusive; now when it is not given."),
				{name: "limit", schema: object{"type": "integer", "minimum": 1, "maximum": coverageSpans, "default": coverageSpans}, detail: "Spans at most."},
				asAt(),
			},
			answers: []content{jsonOf("Coverage")}, errors: []int{400, 404, 503},
		},
		{
			path: "/v1/receipt", id: "receipt", group: "History", summary: "The trades that made a bar, those left out and why, and its revisions",
			params: []param{
				oneSymbol(),
				{name: "timeframe", required: true, example: "1Min", schema: object{"type": "string"}, detail: "Of the bar, as in the history of bars."},
				{name: "t", required: true, example: "2026-11-23T14:30:00Z", schema: timeSchema(), detail: "A moment within the bar."},
				{name: "limit", schema: object{"type": "integer", "minimum": 1, "maximum": receiptMost, "default": receiptUsual}, detail: "Trades of the list at most."},
				{name: "page_token", schema: object{"type": "string"}, detail: "The next_page_token of the answer before."},
				asAt(),
			},
			answers: []content{jsonOf("Receipt")}, errors: []int{400, 404, 503},
		},
		{
			method: http.MethodPost, path: "/v1/imports", id: "beginImport", group: "Imports", summary: "How far a file has come", anyQuery: true,
			detail: "Only for programs on the server's own machine.", body: &content{media: "application/json", schema: ref("ImportFile")}, answers: []content{jsonOf("ImportStand")}, errors: []int{400, 403, 415, 503},
		},
		{
			method: http.MethodPost, path: "/v1/imports/{id}", id: "putImport", group: "Imports", summary: "The next part of a file",
			detail: "Only for programs on the server's own machine. A part that was put before is not put again.",
			params: []param{
				{name: "id", in: "path", required: true, schema: object{"type": "string"}, detail: "As it was begun with."},
				{name: "from", required: true, schema: object{"type": "integer", "minimum": 0}, detail: "Row that the part begins with."},
				{name: "rows", required: true, schema: object{"type": "integer", "minimum": 0}, detail: "Row behind its end."},
				{name: "last", schema: object{"type": "string", "enum": []string{"false", "true"}, "default": "false"}, detail: "There are no further rows."},
			},
			body:    &content{media: RecordType, schema: object{"type": "string", "description": "A record of the tape."}},
			answers: []content{jsonOf("ImportStand")}, errors: []int{400, 403, 409, 413, 415, 503},
		},
		{path: "/openapi.json", id: "openapi", group: "Documents", summary: "This document, as OpenAPI 3.1", answers: []content{{media: "application/json", schema: object{"type": "object"}}}, errors: []int{400}},
		{path: "/asyncapi.json", id: "asyncapi", group: "Documents", summary: "The streams, as AsyncAPI 3.0", answers: []content{{media: "application/json", schema: object{"type": "object"}}}, errors: []int{400}},
		{path: "/docs", id: "docs", group: "Documents", summary: "This document, to read", answers: []content{{media: "text/html; charset=utf-8", schema: object{"type": "string"}}}, errors: []int{400}},
	}
	ops = append(ops, g.dataOperations()...)
	ops = append(ops, streamOperations()...)
	ops = append(ops, alertOperations()...)
	return append(ops, udfOperations()...)
}

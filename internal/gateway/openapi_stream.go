package gateway

import "maps"

// A wireMessage is a message of the streams, described: one object of a frame of the server, or one message of a client.
type wireMessage struct {
	name    string
	summary string
	schema  object
	example object
}

// typed is an object whose first member is T.
func typed(t, required string, properties object) object {
	all := object{"T": object{"const": t}}
	maps.Copy(all, properties)
	return members("T "+required, all)
}

// tickMessage is a row of history as a stream has it: with a type and a symbol before it.
func tickMessage(t string, row object) object {
	return with(row, "T S", object{"T": object{"const": t}, "S": text("Symbol.")})
}

// serverMessages are the objects that frames of /v2/tape are made of.
func serverMessages() []wireMessage {
	rows := tickSchemas()
	trade, _ := rows["Trade"].(object)
	quote, _ := rows["Quote"].(object)
	bar, _ := rows["Bar"].(object)
	when := "2026-11-23T14:30:00.25Z"
	ohlc := object{"S": "SIM:AAPL", "o": 187.00, "h": 187.01, "l": 187.00, "c": 187.01, "v": 200, "t": "2026-11-23T14:30:00Z", "n": 2, "vw": 187.005}
	barOf := func(t string) object {
		o := maps.Clone(ohlc)
		o["T"] = t
		return o
	}
	channels := object{}
	for _, name := range channelNames() {
		channels[name] = list(text("A symbol, or *."))
	}
	for _, name := range []string{"lulds", "corrections", "cancelErrors"} {
		channels[name] = list(text("A symbol, or *."))
	}
	pace := object{"anyOf": []object{{"type": "number"}, {"const": "max"}}}
	return []wireMessage{
		{"success", "Connected, or authenticated.", typed("success", "msg", object{"msg": oneOf("connected", "authenticated")}), object{"T": "success", "msg": "connected"}},
		{"error", "What is wrong; nothing was changed.", typed("error", "code msg", object{
			"code": object{"type": "integer"}, "msg": text("What is wrong."), "reason": oneOf("epoch", "trimmed", "future"), "oldest": moment0("The oldest time that can be had."),
			"candidates": list(text("A symbol that an ambiguous name may stand for.")),
		}), object{"T": "error", "code": 400, "msg": "invalid syntax: \"action\" must be a string"}},
		{"subscription", "The whole set that holds now.", typed("subscription", "trades quotes bars", channels), object{
			"T": "subscription", "trades": []string{"SIM:AAPL"}, "quotes": []string{}, "bars": []string{"*"},
		}},
		{"trade", "A trade.", tickMessage("t", trade), object{
			"T": "t", "S": "SIM:AAPL", "i": 1042, "p": 187.42, "s": 100, "t": when, "c": []string{}, "tks": "B", "seq": 1042, "r": when,
		}},
		{"quote", "A best bid and offer.", tickMessage("q", quote), object{
			"T": "q", "S": "SIM:AAPL", "bp": 187.41, "bs": 300, "ap": 187.42, "as": 200, "t": when, "c": []string{}, "seq": 977, "r": when,
		}},
		{"bar", "A minute, when it has closed.", tickMessage("b", bar), barOf("b")},
		{"updatedBar", "A minute that a late trade changed.", tickMessage("u", bar), barOf("u")},
		{"dailyBar", "The day so far.", tickMessage("d", bar), barOf("d")},
		{"status", "State of a symbol or, with *, of a feed.", typed("status", "S state", object{
			"S": text("Symbol, or *."), "feed": text("Feed."), "state": ref("State"), "t": moment0("Since when."), "reason": text("Why."),
		}), object{"T": "status", "S": "SIM:AAPL", "feed": "sim", "state": "live", "t": when}},
		{"gap", "Ticks may be missing.", typed("gap", "S from to filled", object{
			"S": text("Symbol, or *."), "feed": text("Feed."), "from": orNull(moment0("From.")), "to": orNull(moment0("To.")), "filled": truth("It was filled later."), "damage": truth("A part of the tape itself is damaged."),
			"reason": text("Why."),
		}), object{"T": "gap", "S": "*", "feed": "sim", "from": when, "to": "2026-11-23T14:30:05Z", "filled": false, "reason": "disconnected"}},
		{"alert", "A rule fired.", typed("alert", "S p t seq msg", object{
			"S": text("Symbol."), "p": number("Price."), "t": moment0("Time of the trade."), "seq": whole0("Number of the trade."), "msg": text("What fired."), "id": text("Of the alert: the same wherever it is told."),
		}), object{"T": "alert", "S": "SIM:AAPL", "p": 187.42, "t": when, "seq": 1042, "msg": "2.13% move!"}},
		{"clock", "How the clock of the time machine stands: at each change, and at least four times a second while it plays.", typed("clock", "t speed live playing", object{
			"t": moment0("The moment that is shown."), "speed": pace, "live": truth("The session is told the present."), "playing": truth("The clock goes."),
			"ended": truth("It stands at the end of what was to be played."),
		}), object{"T": "clock", "t": when, "speed": 10, "live": false, "playing": true}},
		{"cursor", "A place on the tape, behind the ticks before it.", typed("cursor", "c", object{"c": text("Opaque.")}), object{"T": "cursor", "c": "AQECAwAAAAAAAAAAAAAAAAACADLJtYg"}},
		{"heartbeat", "Every five seconds, when nothing else is written.", typed("heartbeat", "t", object{"t": moment0("The server's time.")}), object{"T": "heartbeat", "t": when}},
	}
}

// clientMessages are what clients may say on /v2/tape.
func clientMessages() []wireMessage {
	action := func(name, required string, properties object) object {
		all := object{"action": object{"const": name}}
		maps.Copy(all, properties)
		return members("action "+required, all)
	}
	symbols := object{"anyOf": []object{list(object{"type": "string", "minLength": 1}), {"type": "null"}}}
	channels := object{}
	for _, name := range channelNames() {
		channels[name] = symbols
	}
	instant := object{"anyOf": []object{timeSchema(), {"type": "number"}}}
	place := object{"anyOf": []object{
		members("cursor", object{"cursor": text("As the server told it.")}), members("time", object{"time": instant}),
	}}
	subscribe := object{
		"mode": oneOf("every", "latest"), "every": text("Interval of mode latest, such as 50ms."), "cursor": truth("Tell cursors."), "from": place,
	}
	maps.Copy(subscribe, channels)
	speed := object{"anyOf": []object{{"type": "number", "minimum": 0.1, "maximum": 10000}, {"const": "max"}}, "description": "Times as fast as it was; 1 when it is not given."}
	return []wireMessage{
		{"auth", "Who the client is.", action("auth", "", object{"key": text("Key."), "secret": text("Secret."), "token": text("Instead of both.")}), object{"action": "auth", "key": "any", "secret": "any"}},
		{"subscribe", "Adds to the set.", action("subscribe", "", subscribe), object{"action": "subscribe", "trades": []string{"SIM:AAPL"}, "bars": []string{"*"}, "cursor": true}},
		{"unsubscribe", "Takes from the set.", action("unsubscribe", "", channels), object{"action": "unsubscribe", "trades": []string{"SIM:AAPL"}}},
		{"play", "Plays the past.", action("play", "from", object{"from": object{"anyOf": []object{instant, place}}, "to": instant, "speed": speed}), object{
			"action": "play", "from": "2026-11-23T14:30:00Z", "to": "2026-11-23T15:00:00Z", "speed": 10,
		}},
		{"pause", "Stops the clock.", action("pause", "", object{}), object{"action": "pause"}},
		{"resume", "Lets the clock go on.", action("resume", "", object{}), object{"action": "resume"}},
		{"seek", "Sets the clock.", action("seek", "time", object{"time": instant}), object{"action": "seek", "time": "2026-11-23T14:45:00Z"}},
		{"speed", "Changes the speed.", action("speed", "speed", object{"speed": speed}), object{"action": "speed", "speed": "max"}},
		{"step", "Tells the next ticks while the clock stands.", action("step", "", object{"ticks": object{"type": "integer", "minimum": 1, "maximum": mostSteps, "default": 1}}), object{"action": "step", "ticks": 1}},
		{"live", "Goes to the present.", action("live", "", object{}), object{"action": "live"}},
	}
}

// asyncAPI is the document of AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of the streams.
func (g *Gateway) asyncAPI() object {
	messages := object{}
	add := func(list []wireMessage, frame bool) []object {
		refs := make([]object, 0, len(list))
		for _, m := range list {
			payload, example := m.schema, any(m.example)
			if frame {
				payload, example = object{"type": "array", "items": m.schema}, []object{m.example}
			}
			messages[m.name] = object{
				"name": m.name, "title": m.name, "summary": m.summary, "contentType": "application/json", "payload": payload,
				"examples": []object{{"name": m.name, "payload": example}},
			}
			refs = append(refs, object{"$ref": "#/channels/tape/messages/" + m.name})
		}
		return refs
	}
	sent, heard := add(serverMessages(), true), add(clientMessages(), false)
	price := members("timestamp symbol price", object{
		"timestamp": orNull(moment0("The venue's time.")), "symbol": text("Symbol."), "price": number("Price."), "alert": text("The rule that the trade fired."),
	})
	messages["price"] = object{
		"name": "price", "title": "price", "summary": "A trade.", "contentType": "application/json", "payload": price,
		"examples": []object{{"name": "price", "payload": object{"timestamp": "2026-11-23T14:30:00.25Z", "symbol": "SIM:AAPL", "price": 187.42}}},
	}
	channel := func(address, title string, names []object) object {
		m := object{}
		for _, r := range names {
			path, _ := r["$ref"].(string)
			name := path[len("#/channels/tape/messages/"):]
			m[name] = object{"$ref": "#/components/messages/" + name}
		}
		return object{"address": address, "title": title, "messages": m}
	}
	tape := channel("/v2/tape", "The stream", append(append([]object(nil), sent...), heard...))
	tape["description"] = "Every message of the server is a list of objects, of any of the types together, with the first member T. " +
		"The aliases /v2/iex, /v2/sip, /v2/delayed_sip, /v2/test and /v1beta3/crypto/us say the same to libraries that do not know the additions; /v2/tape/sse says it as Server-Sent Events."
	return object{
		"asyncapi": "3.0.0",
		"info": g.about("Tapedeck streams", "Ticks, bars and states as they happen, and the past as it happened. Members and messages may be added: ignore what you do not know.",
			object{"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}),
		"defaultContentType": "application/json",
		"servers":            object{"here": object{"host": "localhost", "protocol": "ws", "description": "This server."}},
		"channels": object{
			"tape": tape,
			"prices": object{
				"address": "/ws/prices", "title": "One message for each trade", "messages": object{"price": object{"$ref": "#/components/messages/price"}},
			},
		},
		"operations": object{
			"tell":       object{"action": "send", "channel": object{"$ref": "#/channels/tape"}, "messages": sent, "summary": "What the server says."},
			"hear":       object{"action": "receive", "channel": object{"$ref": "#/channels/tape"}, "messages": heard, "summary": "What clients ask for."},
			"tellPrices": object{"action": "send", "channel": object{"$ref": "#/channels/prices"}, "messages": []object{{"$ref": "#/channels/prices/messages/price"}}},
		},
		"components": object{"messages": messages, "schemas": object{"State": schemas()["State"], "Seconds": schemas()["Seconds"]}},
	}
}

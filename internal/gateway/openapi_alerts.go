package gateway

import "net/http"

// alertOperations are the routes of rules.
func alertOperations() []operation {
	id := param{name: "id", in: "path", required: true, schema: object{"type": "string"}, detail: "Of the rule."}
	rule := &content{media: "application/json", schema: ref("AlertRule")}
	here := "Only from the server's own machine."
	return []operation{
		{path: "/v1/alerts", id: "alerts", group: "Alerts", summary: "The rules", answers: []content{jsonOf("AlertRules")}, errors: []int{400}},
		{
			method: http.MethodPost, path: "/v1/alerts", id: "addAlert", group: "Alerts", summary: "One more rule", detail: here + " It holds from the next tick on.",
			body: rule, answers: []content{{status: http.StatusCreated, media: "application/json", schema: ref("AlertRule")}}, errors: []int{400, 403, 413, 415, 503},
		},
		{path: "/v1/alerts/{id}", id: "alert", group: "Alerts", summary: "One rule", params: []param{id}, answers: []content{jsonOf("AlertRule")}, errors: []int{400, 404}},
		{
			method: http.MethodPut, path: "/v1/alerts/{id}", id: "putAlert", group: "Alerts", summary: "A rule in the place of the one with this id, if there is one",
			detail: here, params: []param{id}, body: rule, answers: []content{jsonOf("AlertRule")}, errors: []int{400, 403, 413, 415, 503},
		},
		{
			method: http.MethodDelete, path: "/v1/alerts/{id}", id: "deleteAlert", group: "Alerts", summary: "Take a rule away; what it fired stays",
			detail: here, params: []param{id}, answers: []content{{status: http.StatusNoContent}}, errors: []int{400, 403, 404, 503},
		},
		{
			path: "/v1/alerts/history", id: "alertHistory", group: "Alerts", summary: "What was fired, the newest first",
			params: []param{
				{name: "rule", schema: object{"type": "string"}, detail: "Of this rule only."},
				{name: "symbol", schema: object{"type": "string"}, example: "SIM:AAPL", detail: "Of this symbol only."},
				timeParam("from", "First time, inclusive."), timeParam("to", "Exclusive."),
				{name: "before", schema: object{"type": "integer", "minimum": 1}, detail: "Only those with a smaller number: before of the answer before."},
				{name: "limit", schema: object{"type": "integer", "minimum": 1, "maximum": alertsMost, "default": alertsUsual}, detail: "Alerts at most."},
			},
			answers: []content{jsonOf("FiredAlerts")}, errors: []int{400, 404},
		},
		{
			method: http.MethodPost, path: "/v1/alerts/history/{n}/acknowledge", id: "acknowledgeAlert", group: "Alerts", summary: "Note that somebody has seen it",
			detail:  here,
			params:  []param{{name: "n", in: "path", required: true, schema: object{"type": "integer", "minimum": 1}, detail: "Number of the alert."}},
			answers: []content{{status: http.StatusNoContent}}, errors: []int{400, 403, 404, 503},
		},
	}
}

// alertSchemas are those of rules.
func alertSchemas(s object) {
	span := func(description string) object {
		return object{"type": "string", "description": description, "examples": []string{"10s"}}
	}
	s["AlertRule"] = members("name symbols when", object{
		"id": text("Given when it is left out."), "name": text("What it is called."), "symbols": list(text("A pattern, such as SIM:AAPL, SIM:*, AAPL or *.")),
		"when": text("The condition."), "until": text("What arms it anew; when it is not given, that the condition is no longer met."),
		"for": span("How long the condition must have been met."), "cooldown": span("Not again for a symbol for so long."),
		"once": truth("Once for a symbol, ever."), "severity": oneOf("info", "warning", "critical"),
		"text": text("What an alert says, with {{…}}."), "session": oneOf("regular"), "expires": moment0("Not from then on."),
		"webhooks": list(text("An address that each alert is posted to.")), "off": truth("Kept, but not watched."),
	})
	s["AlertRules"] = members("rules", object{"rules": list(ref("AlertRule"))})
	s["FiredAlert"] = members("n id rule name symbol seq t price text severity", object{
		"n": whole0("1, 2, 3 … in the order in which they were fired."), "id": text("Of the rule, the symbol and seq; the same wherever it is told."),
		"rule": text("Id of the rule."), "name": text("Of the rule, then."), "symbol": text("VENUE:NAME."), "seq": whole0("Of the newest trade."),
		"t": moment0("Of the tick that fired it."), "price": number("Of the newest trade."), "text": text("What it says."),
		"severity": oneOf("info", "warning", "critical"), "acknowledged": moment0("When somebody had seen it."),
	})
	s["FiredAlerts"] = members("alerts", object{"alerts": list(ref("FiredAlert")), "before": whole0("For the next page.")})
}

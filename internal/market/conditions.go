package market

import (
	"fmt"
	"strings"
)

// Effect says what a trade does to a bar. EffectHighLow without EffectLast is "last only if first": the trade sets open and
// close only of a bar in which no trade before it, by event time, has set them.
type Effect uint8

// What a trade may do.
const (
	EffectVolume  Effect = 1 << 0 // counts for volume, turnover and the number of trades
	EffectHighLow Effect = 1 << 1 // may set the high and the low
	EffectLast    Effect = 1 << 2 // may set the open and the close
	EffectAll     Effect = EffectVolume | EffectHighLow | EffectLast
)

// Has reports whether e has all of the bits.
func (e Effect) Has(bits Effect) bool { return e&bits == bits }

// Effects are what a trade does to each kind of bar.
type Effects struct {
	Day      Effect // to daily bars
	Intraday Effect // to shorter bars, when the trade's time is in the regular session
	Extended Effect // to shorter bars, when it is outside

	// Closing marks the print of a closing auction. It belongs to the regular session although it comes after the bell.
	Closing bool
}

// Same returns effects that are the same for all bars.
func Same(e Effect) Effects { return Effects{Day: e, Intraday: e, Extended: e} }

// and combines the effects of two conditions: the most restrictive wins.
func (e Effects) and(f Effects) Effects {
	return Effects{e.Day & f.Day, e.Intraday & f.Intraday, e.Extended & f.Extended, e.Closing || f.Closing}
}

// Rules says which trades count for what, by their sale conditions. It is immutable and may be shared.
type Rules struct {
	name string
	one  [128]Effects // codes of one character
	two  [100]Effects // codes of two digits
}

// Condition is a row of a rule set: some codes, separated by spaces, and what a trade with one of them does. A code is one
// ASCII character or a number below 100. Codes that no row names have no effect of their own.
type Condition struct {
	Codes   string
	Effects Effects
}

// NewRules makes a rule set of rows.
func NewRules(name string, rows ...Condition) (*Rules, error) {
	r := &Rules{name: name}
	for i := range r.one {
		r.one[i] = Same(EffectAll)
	}
	for i := range r.two {
		r.two[i] = Same(EffectAll)
	}
	for _, row := range rows {
		for _, e := range []Effect{row.Effects.Day, row.Effects.Intraday, row.Effects.Extended} {
			if !EffectAll.Has(e) || e.Has(EffectLast) && !e.Has(EffectHighLow) {
				return nil, fmt.Errorf("rule set %s: conditions %q: what sets the last must set high and low", name, row.Codes)
			}
		}
		for code := range strings.FieldsSeq(row.Codes) {
			p := r.entry(code)
			if p == nil || code == "," {
				return nil, fmt.Errorf("rule set %s: condition %q is neither a character nor a number below 100", name, code)
			}
			*p = row.Effects
		}
	}
	return r, nil
}

// entry returns the place of a code, nil when it can have none.
func (r *Rules) entry(code string) *Effects {
	switch {
	case len(code) == 1 && code[0] < 128:
		return &r.one[code[0]]
	case len(code) == 2 && digits(code):
		return &r.two[int(code[0]-'0')*10+int(code[1]-'0')]
	}
	return nil
}

// Name returns the name of the rule set.
func (r *Rules) Name() string { return r.name }

// Effects returns what a trade with the given conditions does: codes joined by commas, as in Entry.Conditions. Of several, the
// most restrictive wins. It does not allocate.
func (r *Rules) Effects(conditions string) Effects {
	e := Same(EffectAll)
	for start := 0; start < len(conditions); {
		end := start
		for end < len(conditions) && conditions[end] != ',' {
			end++
		}
		if p := r.entry(conditions[start:end]); p != nil {
			e = e.and(*p)
		}
		start = end + 1
	}
	return e
}

// RuleSet returns a built-in rule set:
//
//	all      every print counts for everything
//	sip      the consolidated tapes of US equities (letters of CTA and UTP)
//	vendor   sip, but trades of the extended hours (T) make second, minute and hour bars outside the regular session
//	alpaca   the table that Alpaca documents for its own bars
//	massive  vendor in the numbers of Massive's glossary
func RuleSet(name string) (*Rules, error) {
	switch name {
	case "all":
		return NewRules(name)
	case "sip":
		return NewRules(name, sipConditions()...)
	case "vendor":
		return NewRules(name, append(sipConditions(), Condition{"T", extendedHours()})...)
	case "alpaca":
		return NewRules(name, alpacaConditions()...)
	case "massive":
		return NewRules(name, massiveConditions()...)
	}
	return nil, fmt.Errorf("rule set %.40q is none of all, sip, vendor, alpaca, massive", name)
}

// RulesFor returns the name of the rule set that suits a venue. Where the codes of a venue are not known to us, every print
// counts.
func RulesFor(venue string) string {
	switch strings.ToUpper(venue) {
	case "ALPACA":
		return "alpaca"
	case "MASSIVE", "POLYGON":
		return "massive"
	case "NASDAQ", "NYSE", "ARCA", "NYSEARCA", "AMEX", "NYSEAMERICAN", "BATS", "BZX", "CBOE", "IEX", "MEMX", "US":
		return "vendor"
	}
	return "all"
}

// closingPrint is that of a closing auction.
func closingPrint() Effects {
	e := Same(EffectAll)
	e.Closing = true
	return e
}

// extendedHours is the exception of the vendors for Form T: it sets prices where nothing else trades, never those of the
// regular session or of a day.
func extendedHours() Effects {
	return Effects{Day: EffectVolume, Intraday: EffectVolume, Extended: EffectAll}
}

// sipConditions is the table of the CTA and UTP plans ("update high/low", "update last", "update volume"). What trades in the
// usual way (@ F O 5 X and others) has no row.
func sipConditions() []Condition {
	return []Condition{
		{"6", closingPrint()},
		// Odd lot, average price, cash, next day, seller, contingent, qualified contingent, price variation.
		{"I W C N R V 7 H", Same(EffectVolume)},
		// Form T, and the same out of sequence.
		{"T U", Same(EffectVolume)},
		// Sold out of sequence, derivatively priced, prior reference price, sold last.
		{"Z 4 P L", Same(EffectVolume | EffectHighLow)},
		// Corrected consolidated close: a price for shares that were counted before.
		{"9", Same(EffectHighLow | EffectLast)},
		// Official open and close of a market centre: notices, not trades.
		{"Q M", Same(0)},
	}
}

// alpacaConditions is the table in Alpaca's market data FAQ, "How are bars aggregated". It tells daily from minute bars: a
// price agreed earlier in the day belongs to the day, but not to the minute in which it is reported.
func alpacaConditions() []Condition {
	return []Condition{
		{"6", closingPrint()},
		{"I W C N R V 7 H U", Same(EffectVolume)},
		{"T", Effects{Day: EffectVolume, Intraday: EffectAll, Extended: EffectAll}},
		{"Z 4 P G", Effects{Day: EffectVolume | EffectHighLow, Intraday: EffectVolume, Extended: EffectVolume}},
		{"9", Effects{Day: EffectHighLow | EffectLast}},
		{"Q M", Same(0)},
	}
}

// massiveConditions is sipConditions in the numbers of Massive's glossary of conditions and indicators.
func massiveConditions() []Condition {
	return []Condition{
		{"8 19", closingPrint()},
		{"37 2 7 20 29 52 53 21", Same(EffectVolume)},
		{"13", Same(EffectVolume)},
		{"12", extendedHours()},
		{"33 10 22 5", Same(EffectVolume | EffectHighLow)},
		{"38", Same(EffectHighLow | EffectLast)},
		{"15 16", Same(0)},
	}
}

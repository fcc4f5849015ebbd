package market

import (
	"strings"
	"testing"
)

func TestRuleSets(t *testing.T) {
	const (
		vol  = EffectVolume
		hl   = EffectVolume | EffectHighLow
		all  = EffectAll
		none = Effect(0)
	)
	for _, tt := range []struct {
		set, conditions         string
		day, intraday, extended Effect
	}{
		{"all", "", all, all, all},
		{"all", "I,T,W,Q", all, all, all},

		{"sip", "", all, all, all},
		{"sip", " ", all, all, all},
		{"sip", "@", all, all, all},
		{"sip", "@,F", all, all, all},
		{"sip", "O", all, all, all},
		{"sip", "5", all, all, all},
		{"sip", "X", all, all, all},
		{"sip", "6", all, all, all},
		{"sip", "@,I", vol, vol, vol},
		{"sip", "I,@", vol, vol, vol},
		{"sip", "W", vol, vol, vol},
		{"sip", "C", vol, vol, vol},
		{"sip", "N", vol, vol, vol},
		{"sip", "R", vol, vol, vol},
		{"sip", "V", vol, vol, vol},
		{"sip", " ,7", vol, vol, vol},
		{"sip", "H", vol, vol, vol},
		{"sip", "@,T", vol, vol, vol},
		{"sip", "U", vol, vol, vol},
		{"sip", "Z", hl, hl, hl},
		{"sip", "@,4", hl, hl, hl},
		{"sip", "P", hl, hl, hl},
		{"sip", "L", hl, hl, hl},
		{"sip", "4,I", vol, vol, vol},
		{"sip", "Q", none, none, none},
		{"sip", "@,M", none, none, none},
		{"sip", "9", EffectHighLow | EffectLast, EffectHighLow | EffectLast, EffectHighLow | EffectLast},
		{"sip", "9,I", none, none, none},
		{"sip", "?", all, all, all},
		{"sip", "é,XYZ,123", all, all, all},

		{"vendor", "@,T", vol, vol, all},
		{"vendor", "T,I", vol, vol, vol},
		{"vendor", "T,Z", vol, vol, hl},
		{"vendor", "U", vol, vol, vol},
		{"vendor", "Z", hl, hl, hl},

		{"alpaca", "@,T", vol, all, all},
		{"alpaca", "@,4", hl, vol, vol},
		{"alpaca", "@,4,I", vol, vol, vol},
		{"alpaca", "L", all, all, all},
		{"alpaca", "9", EffectHighLow | EffectLast, none, none},

		{"massive", "0", all, all, all},
		{"massive", "0,12", vol, vol, all},
		{"massive", "14,41", all, all, all},
		{"massive", "12,37", vol, vol, vol},
		{"massive", "4", all, all, all}, // a bunched trade here, derivatively priced in letters
		{"massive", "10", hl, hl, hl},
		{"massive", "16", none, none, none},
	} {
		r, err := RuleSet(tt.set)
		if err != nil {
			t.Fatal(err)
		}
		e := r.Effects(tt.conditions)
		if e.Day != tt.day || e.Intraday != tt.intraday || e.Extended != tt.extended {
			t.Errorf("%s: Effects(%q) = %v, want day %v, intraday %v, extended %v", tt.set, tt.conditions, e, tt.day, tt.intraday, tt.extended)
		}
		if r.Name() != tt.set {
			t.Errorf("Name() = %q, want %q", r.Name(), tt.set)
		}
	}
}

func TestClosingPrint(t *testing.T) {
	for set, codes := range map[string]string{"sip": "@,6", "alpaca": "6", "massive": "8,41"} {
		r, err := RuleSet(set)
		if err != nil {
			t.Fatal(err)
		}
		if e := r.Effects(codes); !e.Closing || e.Day != EffectAll {
			t.Errorf("%s: Effects(%q) = %v, want the full closing print", set, codes, e)
		}
		if r.Effects("@").Closing {
			t.Errorf("%s: a regular sale is a closing print", set)
		}
	}
}

func TestRulesRefused(t *testing.T) {
	if _, err := RuleSet("nyse"); err == nil || !strings.Contains(err.Error(), "sip") {
		t.Errorf("RuleSet(nyse) = %v, want an error that lists the names", err)
	}
	for _, row := range []Condition{
		{"ABC", Same(EffectAll)},
		{"100", Same(EffectAll)},
		{",", Same(0)},
		{"é", Same(0)},
		{"A", Same(EffectLast)},
		{"A", Effects{Extended: EffectLast | EffectVolume}},
		{"A", Effects{Day: 8}},
	} {
		if _, err := NewRules("own", row); err == nil {
			t.Errorf("NewRules(%+v) is accepted", row)
		}
	}
}

func TestRulesForVenue(t *testing.T) {
	for venue, want := range map[string]string{
		"ALPACA": "alpaca", "massive": "massive", "NYSE": "vendor", "COINBASE": "all", "SIM": "all", "FINNHUB": "all",
	} {
		got := RulesFor(venue)
		if got != want {
			t.Errorf("RulesFor(%s) = %s, want %s", venue, got, want)
		}
		if _, err := RuleSet(got); err != nil {
			t.Error(err)
		}
	}
}

func TestEffectsDoNotAllocate(t *testing.T) {
	r, err := RuleSet("alpaca")
	if err != nil {
		t.Fatal(err)
	}
	var e Effects
	if n := testing.AllocsPerRun(100, func() { e = r.Effects("@,F,T,I") }); n != 0 {
		t.Errorf("Effects allocates %v times", n)
	}
	if e.Day != EffectVolume {
		t.Errorf("got %v", e)
	}
}

func FuzzEffects(f *testing.F) {
	f.Add("@,F,T,I")
	f.Add(",,")
	f.Add("12,37,")
	f.Fuzz(func(t *testing.T, conditions string) {
		for _, name := range []string{"all", "sip", "vendor", "alpaca", "massive"} {
			r, err := RuleSet(name)
			if err != nil {
				t.Fatal(err)
			}
			e := r.Effects(conditions)
			more := r.Effects(conditions + ",I,37")
			if more.and(e) != more {
				t.Errorf("%s: another condition than %q makes more of the trade: %v, %v", name, conditions, e, more)
			}
		}
	})
}

func BenchmarkEffects(b *testing.B) {
	r, err := RuleSet("alpaca")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Effects("@,F,I")
	}
}

package server

import (
	"fmt"
	"os"
	"strings"

	"tapedeck/internal/market"
)

// loadCalendars returns the built-in calendars with the file of the configuration on top.
func loadCalendars(c *Config) (*market.Calendars, error) {
	calendars := market.NewCalendars()
	if c.Calendars == "" {
		return calendars, nil
	}
	data, err := os.ReadFile(c.Calendars)
	if err != nil {
		return nil, fmt.Errorf("bars.calendars: %w", err)
	}
	calendars, err = calendars.With(c.Calendars, data)
	if err != nil {
		return nil, fmt.Errorf("bars.calendars: %w", err)
	}
	return calendars, nil
}

// loadRules returns the rule set of each venue by the configuration: a name for all venues, VENUE=NAME for one. Of a venue that
// it says nothing of the result is nil.
func loadRules(c *Config) (func(venue string) *market.Rules, error) {
	var all *market.Rules
	venues := make(map[string]*market.Rules)
	for _, s := range c.Rules {
		venue, name, one := strings.Cut(s, "=")
		if !one {
			name = venue
		}
		rules, err := market.RuleSet(name)
		if err != nil {
			return nil, fmt.Errorf("bars.rules: %w", err)
		}
		if one {
			venues[strings.ToUpper(venue)] = rules
		} else {
			all = rules
		}
	}
	return func(venue string) *market.Rules {
		if r := venues[venue]; r != nil {
			return r
		}
		return all
	}, nil
}

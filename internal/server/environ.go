package server

import (
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/market"
)

// Misspelt returns what is to be said of the variables of an environment that look like settings and are none: each is ignored, and most likely
// a setting was meant. A program that is run by others has variables of theirs, such as TAPEDECK_SERVICE_HOST of Kubernetes: what is like no
// setting is not spoken of.
func Misspelt(environ []string) []string {
	all := settings()
	var list []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.ContainsFunc(all, func(s setting) bool { return s.env() == name }) {
			continue
		}
		key := strings.ToUpper(name[len(envPrefix):])
		best, least := "", min(3, max(1, len(key)/3))+1
		for _, s := range all {
			if d := market.EditDistance(key, s.env()[len(envPrefix):]); d < least {
				best, least = s.env(), d
			}
		}
		if best != "" {
			list = append(list, fmt.Sprintf("the environment variable %s is no setting and is ignored; did you mean %s?", name, best))
		}
	}
	slices.Sort(list)
	return list
}

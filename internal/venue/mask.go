package venue

import "strings"

// Mask returns what a venue said with each of the secrets in it replaced: some venues repeat the key that they refuse.
func Mask(said string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 { // shorter ones are words, and no secrets
			said = strings.ReplaceAll(said, secret, "***")
		}
	}
	return said
}

package alert

import "net/netip"

// Allowed is WebhookOptions.allowed.
func Allowed(o *WebhookOptions, a netip.Addr) bool { return o.allowed(a) }

package massive

import (
	"tapedeck/internal/venue"
)

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return venue.Unlisted{} }

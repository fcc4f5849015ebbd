package market

// Agree reports whether every trade does the same to a bar of a day as to shorter bars, in the regular session and outside of it. Where it
// does, a day is the sum of the minutes in those of its sessions that make days.
func (r *Rules) Agree() (regular, extended bool) {
	regular, extended = true, true
	for _, codes := range [...][]Effects{r.one[:], r.two[:]} {
		for i := range codes {
			// The effects of several conditions are those of each, masked by one another: where all agree, so do the masks.
			regular = regular && codes[i].Day == codes[i].Intraday
			extended = extended && codes[i].Day == codes[i].Extended
		}
	}
	return regular, extended
}

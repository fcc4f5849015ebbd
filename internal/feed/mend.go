package feed

// Repeated counts trades that came again and that the source left out by itself.
func (a *Account) Repeated(n int) {
	if a == nil {
		return
	}
	for range n {
		a.repeated()
	}
}

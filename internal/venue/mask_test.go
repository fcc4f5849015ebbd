package venue

import "testing"

func TestMask(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"bad key PK123 (PK123) for s3cret", "bad key *** (***) for ***"},
		{"auth failed", "auth failed"},
	} {
		if got := Mask(c.said, "PK123", "", "no", "s3cret"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

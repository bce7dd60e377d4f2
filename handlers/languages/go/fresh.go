package calculator

import (
	"crypto/rand"
	"hash/maphash"
	random "math/rand/v2"
)

// The runtime starts in each instance, and with it what packages have at their top level.
var atStart = random.Float64()

func fresh(nothing) (any, error) {
	return map[string]any{
		"crypto/rand": rand.Text(),
		"math/rand":   random.Float64(),
		"maphash":     maphash.String(maphash.MakeSeed(), "x"),
		"package":     atStart,
	}, nil
}

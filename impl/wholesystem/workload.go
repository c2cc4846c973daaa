// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"math/rand/v2"

	"dalio/impl/load"
)

// skew is the exponent of Zipf's law by which YCSB draws keys.
const skew = 0.99

// draws is how many keys are drawn beforehand: to draw one takes longer than to have
// it read.
const draws = 1 << 20

// drawKeys returns keys drawn by Zipf's law.
func drawKeys(keys int) []uint32 {
	zipf, random := load.NewZipf(keys, skew), rand.New(rand.NewPCG(1, 1))
	drawn := make([]uint32, draws)
	for i := range drawn {
		drawn[i] = uint32(zipf.Draw(random))
	}
	return drawn
}

// choice is what a lane does next.
type choice struct {
	write bool
	// inserted means that the key is one of those inserted in this sample.
	inserted bool
	key      uint32
	// number is which insert of its socket it is.
	number uint64
}

// source chooses what lanes do.
type source interface {
	// next returns false when there is nothing more to do.
	next() (choice, bool)
	// written is told of each write that was acknowledged.
	written(choice)
}

// mixed draws operations for ever.
type mixed struct {
	drawn  []uint32
	at     int
	random *rand.Rand
	// writes is their share of 2^32.
	writes uint64
}

func newMixed(m load.Mix, drawn []uint32, driver int) *mixed {
	random := rand.New(rand.NewPCG(2, uint64(driver)))
	return &mixed{drawn: drawn, at: random.IntN(len(drawn)), random: random, writes: uint64(m.Writes * (1 << 32))}
}

func (m *mixed) next() (choice, bool) {
	if m.at++; m.at >= len(m.drawn) {
		m.at = 0
	}
	return choice{write: uint64(m.random.Uint32()) < m.writes, key: m.drawn[m.at]}, true
}

func (*mixed) written(choice) {}

// inTurn writes each of some keys once.
type inTurn struct{ at, end uint32 }

func (t *inTurn) next() (choice, bool) {
	t.at++
	return choice{write: true, key: t.at - 1}, t.at <= t.end
}

func (*inTurn) written(choice) {}

// appendKey appends the name of a key, of keySize bytes if the prefix leaves room.
func appendKey(b []byte, prefix string, key uint32) []byte {
	const digits = 7
	b = append(b, prefix...)
	for range keySize - digits - len(prefix) {
		b = append(b, 'k')
	}
	for unit := uint32(1_000_000); unit > 0; unit /= 10 {
		b = append(b, '0'+byte(key/unit%10))
	}
	return b
}

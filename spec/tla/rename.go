// SPDX-License-Identifier: Apache-2.0

package tla

// Rename returns the value with model values replaced by others, wherever they
// stand.
func Rename(v Value, by map[Model]Model) Value {
	switch v := v.(type) {
	case Model:
		if to, ok := by[v]; ok {
			return to
		}
	case Tuple:
		return Tuple(renameAll(v, by))
	case Set:
		return NewSet(renameAll(v, by)...)
	case Record:
		renamed := make(Record, len(v))
		for i, f := range v {
			renamed[i] = Field{f.Name, Rename(f.Value, by)}
		}
		return renamed
	case Function:
		renamed := make([]Pair, len(v))
		for i, p := range v {
			renamed[i] = Pair{Rename(p.Key, by), Rename(p.Value, by)}
		}
		return NewFunction(renamed...)
	}
	return v
}

func renameAll(values []Value, by map[Model]Model) []Value {
	renamed := make([]Value, len(values))
	for i, v := range values {
		renamed[i] = Rename(v, by)
	}
	return renamed
}

// SPDX-License-Identifier: Apache-2.0

//go:build !race

package linear

// raceEnabled makes heavy tests smaller under the race detector.
const raceEnabled = false

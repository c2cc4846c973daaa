// SPDX-License-Identifier: Apache-2.0

package bench

// Balancer is a contender that knows nothing of messages: it sends what a client sends to
// a replica, as it is, and what the replica answers to the client. So it can do reads
// alone, and those are not linearizable: nothing holds back a value that is not committed.
type Balancer interface {
	Contender
	// Version says which one was measured.
	Version() (string, error)
}

// balances is what is said of each balancer where its figures are shown.
const balances = "reads only, not linearizable"

// Balancers are those that the reads of a coordinator are compared with. nginx has its
// files in a folder.
func Balancers(dir string) ([]Balancer, error) {
	nginx, err := FindNginx(dir)
	if err != nil {
		return nil, err
	}
	return []Balancer{nginx, NFTables{}}, nil
}

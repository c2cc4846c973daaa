// SPDX-License-Identifier: Apache-2.0

// Package growth measures how what Dalio costs grows: the coordinator's processor time
// per operation with keys, clients, replicas and the size of values, and the memory of
// coordinator and replica with sessions and keys.
//
// The processor time is measured as package bench does it, with the coordinator alone.
// All points of all curves are measured once in each round, so that a slow phase of the
// machine hits them alike, and are shown as medians of all rounds. Each curve has a
// promise or none: to be flat, or to be a straight line. Where the medians break it and
// their intervals would not, one can't tell: the curve is measured for as many rounds again.
//
// Clients have two curves. In "clients_alone" each has one request open and there are no
// others: the fewer there are, the fewer frames the coordinator's thread finds when it
// wakes, and with one it wakes for each frame. That is in what is measured, it is most
// of it, and no promise can be made of it: it is the machine's, not the program's. In
// "clients" the coordinator is equally busy at every point: there are as many requests
// open as always, some 192 frames of them, from one client's address or from as many as 64.
package growth

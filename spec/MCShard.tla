------------------------------- MODULE MCShard -------------------------------
(***************************************************************************)
(* The workloads and symmetries of the configurations of Shard.tla.  The   *)
(* writers are a and b, each writing its own name; others only read.       *)
(***************************************************************************)
EXTENDS ShardHandled, TLC

CONSTANTS a, b, s1, s2

Put(k, v) == [op |-> "write", key |-> k, value |-> v]
Delete(k) == [op |-> "write", key |-> k, value |-> Absent]
Get(k)    == [op |-> "read",  key |-> k, value |-> None]

Name(c) == IF c = a THEN "a" ELSE "b"

\* Each writer writes k once, everybody else reads it once.
ReadOnce(c, n) ==
  CASE n = 1 /\ c \in {a, b} -> {Put("k", Name(c))}
    [] n = 1 -> {Get("k")}
    [] OTHER -> {}

\* Each writer writes k once, everybody else reads it twice.
ReadTwice(c, n) ==
  CASE n = 1 /\ c \in {a, b} -> {Put("k", Name(c))}
    [] n <= 2 /\ c \notin {a, b} -> {Get("k")}
    [] OTHER -> {}

\* Each writer writes k once, everybody else reads it three times.
ReadThrice(c, n) ==
  CASE n = 1 /\ c \in {a, b} -> {Put("k", Name(c))}
    [] n <= 3 /\ c \notin {a, b} -> {Get("k")}
    [] OTHER -> {}

\* Each writer writes k once; everybody else reads it once, and so does a then.
ReadBack(c, n) ==
  CASE n = 1 /\ c \in {a, b} -> {Put("k", Name(c))}
    [] n = 1 \/ (n = 2 /\ c = a) -> {Get("k")}
    [] OTHER -> {}

\* a writes k once; b reads it, writes it, and reads it again.
ReadAround(c, n) ==
  CASE n = 1 /\ c = a -> {Put("k", Name(c))}
    [] n = 2 /\ c = b -> {Put("k", Name(c))}
    [] n \in {1, 3} /\ c = b -> {Get("k")}
    [] OTHER -> {}

\* a puts k and then deletes it, everybody else reads it once.
PutThenDelete(c, n) ==
  CASE n = 1 /\ c = a -> {Put("k", Name(c))}
    [] n = 2 /\ c = a -> {Delete("k")}
    [] n = 1 -> {Get("k")}
    [] OTHER -> {}

\* Each writer has a slot of its own.
OwnSlots(c) == CASE c = a -> s1 [] c = b -> s2 [] OTHER -> None

\* a has a slot, and b must ask for it.
SharedSlot(c) == IF c = a THEN s1 ELSE None

Symmetry == Permutations(Nodes) \cup Permutations(Clients \ {a, b})
=============================================================================


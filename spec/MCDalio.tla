------------------------------- MODULE MCDalio -------------------------------
(***************************************************************************)
(* The workloads and symmetries of the model configurations.  A workload   *)
(* says which calls a client may make as its nth; everything else that     *)
(* bounds a model is a constant in its configuration.                      *)
(***************************************************************************)
EXTENDS Handled, TLC

Put(k, v) == [op |-> "write", key |-> k, value |-> v]
Delete(k) == [op |-> "write", key |-> k, value |-> Absent]
Get(k)    == [op |-> "read",  key |-> k, value |-> None]

\* a and b each write k once, c reads it once.
TwoWritesOneRead(c, n) ==
  CASE c = "c" /\ n = 1 -> {Get("k")}
    [] c # "c" /\ n = 1 -> {Put("k", c)}
    [] OTHER -> {}

\* a writes k once, everybody else reads it once.
OneWriteTwoReads(c, n) ==
  CASE c = "a" /\ n = 1 -> {Put("k", c)}
    [] c # "a" /\ n = 1 -> {Get("k")}
    [] OTHER -> {}

\* a writes k and then reads it twice, b writes k and then reads it.
WritesThenReads(c, n) ==
  CASE n = 1 -> {Put("k", c)}
    [] n = 2 \/ (n = 3 /\ c = "a") -> {Get("k")}
    [] OTHER -> {}

\* a and b each write k once, c reads it twice.
TwoWritesTwoReads(c, n) ==
  CASE c = "c" /\ n <= 2 -> {Get("k")}
    [] c # "c" /\ n = 1 -> {Put("k", c)}
    [] OTHER -> {}

\* a writes k twice and then reads it, b writes it once.
TwoWritesThenRead(c, n) ==
  CASE c = "a" /\ n <= 2 -> {Put("k", <<"a", "a2">>[n])}
    [] c = "a" /\ n = 3 -> {Get("k")}
    [] c = "b" /\ n = 1 -> {Put("k", c)}
    [] OTHER -> {}

\* a writes k and then reads it, b writes it once.
WriteThenRead(c, n) ==
  CASE n = 1 -> {Put("k", c)}
    [] n = 2 /\ c = "a" -> {Get("k")}
    [] OTHER -> {}

\* a puts k and then deletes it, c reads it twice.
PutDeleteTwoReads(c, n) ==
  CASE c = "c" /\ n <= 2 -> {Get("k")}
    [] c = "a" /\ n = 1 -> {Put("k", c)}
    [] c = "a" /\ n = 2 -> {Delete("k")}
    [] OTHER -> {}

\* a puts k and then deletes it, b puts it and then reads it.
PutDeleteBesidePut(c, n) ==
  CASE n = 1 -> {Put("k", c)}
    [] n = 2 /\ c = "a" -> {Delete("k")}
    [] n = 2 /\ c = "b" -> {Get("k")}
    [] OTHER -> {}

\* What Once may be.
Never(m) == FALSE
Always(m) == TRUE
InReads(m) ==
  m.type \in {"ReadRequest", "Read", "ReadReply", "ReadResponse"}

Symmetry == Permutations(Replicas) \cup Permutations(Slots)
=============================================================================

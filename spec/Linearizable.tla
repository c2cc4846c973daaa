---------------------------- MODULE Linearizable ----------------------------
(***************************************************************************)
(* An exact judge of small histories.  Refining Register.tla proves a      *)
(* protocol right, but failing to refine it proves only that one mapping   *)
(* fails.  This module judges what the clients saw and nothing else: it    *)
(* follows every way in which the calls made so far on one key may have    *)
(* taken effect.  When no way is left, the history is not linearizable.    *)
(*                                                                         *)
(* A way is the value the key has now and, for each client, what its open  *)
(* call did: <<>> if it has not taken effect, <<v>> if it has, v being the *)
(* value it wrote or read.                                                 *)
(***************************************************************************)
CONSTANTS Clients, Absent

AtStart == {[value |-> Absent, did |-> [c \in Clients |-> <<>>]]}

(***************************************************************************)
(* The ways that follow from way when one more call of key takes effect.   *)
(***************************************************************************)
OneMore(way, key, calls) ==
  {LET result == IF calls[c].op = "write" THEN calls[c].value ELSE way.value
   IN  [value |-> result, did |-> [way.did EXCEPT ![c] = <<result>>]] :
   c \in {d \in Clients :
            /\ calls[d].key = key /\ way.did[d] = <<>>
            /\ \/ calls[d].status = "open"
               \/ calls[d].status = "unknown" /\ calls[d].op = "write"}}

(***************************************************************************)
(* Any number of open calls may take effect at any time.  It is enough to  *)
(* let them when a call is invoked: an answer only removes ways.           *)
(***************************************************************************)
RECURSIVE Invoked(_, _, _)
Invoked(ways, key, calls) ==
  LET more == ways \cup UNION {OneMore(way, key, calls) : way \in ways}
  IN  IF more = ways THEN ways ELSE Invoked(more, key, calls)

(***************************************************************************)
(* Only the ways remain in which the call of c did what its answer says:   *)
(* read or wrote v, or did not happen.                                     *)
(***************************************************************************)
Answered(ways, c, v) ==
  {[way EXCEPT !.did[c] = <<>>] : way \in {w \in ways : w.did[c] = <<v>>}}

Failed(ways, c) == {way \in ways : way.did[c] = <<>>}
=============================================================================

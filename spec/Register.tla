------------------------------ MODULE Register ------------------------------
(***************************************************************************)
(* What the clients of a shard may see, and nothing else: every key is a   *)
(* linearizable register that can be written (put or deleted) and read.    *)
(* The protocol in Dalio.tla is correct if it implements this module.      *)
(*                                                                         *)
(* A client has one call open at a time.  A call ends in one of three      *)
(* ways: "ok", it took effect between its invocation and its answer;       *)
(* "failed", it certainly did not happen and never will; "unknown", it may *)
(* have happened, or happen at any later time, or never.  After "unknown"  *)
(* the client makes no further call: it is a lane of its own, and its last *)
(* write hangs over the register for ever.                                 *)
(*                                                                         *)
(* The usual way to write such a module gives every call a step of its own *)
(* between invocation and answer.  An implementation then has to name the  *)
(* moment at which a read took effect, which for a read that overtakes a   *)
(* commit can only be told afterwards.  Here a read collects every value   *)
(* the register had since the read was invoked, and may return any of      *)
(* them.  This is the same set of behaviours, told without prophecy.       *)
(***************************************************************************)
CONSTANTS
  Clients,  \* those who make calls
  Keys,
  Values,   \* what can be put
  Absent,   \* what a read returns of a key never put, or deleted
  None      \* no key, no value

ASSUME Absent \notin Values /\ None \notin Values /\ None \notin Keys

VARIABLES
  calls,       \* calls[c]: the last call of client c and how it stands
  value,       \* value[k]: the value of the register k now
  linearized,  \* the clients whose unfinished write has taken effect
  candidates   \* candidates[c]: what the open read of client c may return

vars == <<calls, value, linearized, candidates>>

Contents == Values \cup {Absent}

Statuses == {"idle", "open", "ok", "failed", "unknown"}

Call == [status : Statuses,
         op     : {"none", "read", "write"},
         key    : Keys \cup {None},
         value  : Contents \cup {None}]

NoCall == [status |-> "idle", op |-> "none", key |-> None, value |-> None]

TypeOK ==
  /\ calls \in [Clients -> Call]
  /\ value \in [Keys -> Contents]
  /\ linearized \subseteq Clients
  /\ candidates \in [Clients -> SUBSET Contents]

Init ==
  /\ calls = [c \in Clients |-> NoCall]
  /\ value = [k \in Keys |-> Absent]
  /\ linearized = {}
  /\ candidates = [c \in Clients |-> {}]

-----------------------------------------------------------------------------
MayInvoke(c) == calls[c].status \in {"idle", "ok", "failed"}

IsOpen(c, op) == calls[c].status = "open" /\ calls[c].op = op

(***************************************************************************)
(* A client asks for the value of k.  What k holds now is the first        *)
(* candidate.                                                              *)
(***************************************************************************)
InvokeRead(c, k) ==
  /\ MayInvoke(c)
  /\ calls' = [calls EXCEPT ![c] =
                [status |-> "open", op |-> "read", key |-> k, value |-> None]]
  /\ candidates' = [candidates EXCEPT ![c] = {value[k]}]
  /\ UNCHANGED <<value, linearized>>

(***************************************************************************)
(* A client asks for k to hold v.  A delete is a write of Absent.          *)
(***************************************************************************)
InvokeWrite(c, k, v) ==
  /\ MayInvoke(c)
  /\ calls' = [calls EXCEPT ![c] =
                [status |-> "open", op |-> "write", key |-> k, value |-> v]]
  /\ UNCHANGED <<value, linearized, candidates>>

(***************************************************************************)
(* The writes of k that have not taken effect and still may.               *)
(***************************************************************************)
Hanging(k) == {c \in Clients \ linearized :
                 /\ calls[c].op = "write" /\ calls[c].key = k
                 /\ calls[c].status \in {"open", "unknown"}}

(***************************************************************************)
(* Some writes of one key take effect, one right after the other, the last *)
(* of them writing v.  Nobody can tell in which order the others did, but  *)
(* an open read may have met any of them.                                  *)
(***************************************************************************)
Linearize(k, writers, last) ==
  /\ last \in writers
  /\ writers \subseteq Hanging(k)
  /\ value' = [value EXCEPT ![k] = calls[last].value]
  /\ linearized' = linearized \cup writers
  /\ candidates' = [c \in Clients |->
       IF IsOpen(c, "read") /\ calls[c].key = k
         THEN candidates[c] \cup {calls[w].value : w \in writers}
         ELSE candidates[c]]
  /\ UNCHANGED calls

(***************************************************************************)
(* A read is answered with any of its candidates, a write once it has      *)
(* taken effect.                                                           *)
(***************************************************************************)
ReturnRead(c, v) ==
  /\ IsOpen(c, "read") /\ v \in candidates[c]
  /\ calls' = [calls EXCEPT ![c].status = "ok", ![c].value = v]
  /\ candidates' = [candidates EXCEPT ![c] = {}]
  /\ UNCHANGED <<value, linearized>>

ReturnWrite(c) ==
  /\ IsOpen(c, "write") /\ c \in linearized
  /\ calls' = [calls EXCEPT ![c].status = "ok"]
  /\ linearized' = linearized \ {c}
  /\ UNCHANGED <<value, candidates>>

(***************************************************************************)
(* The client is told, or decides, that the call did not happen.  For a    *)
(* write this must be true, and stays true because a failed write is no    *)
(* longer hanging.                                                         *)
(***************************************************************************)
Fail(c) ==
  /\ calls[c].status = "open" /\ c \notin linearized
  /\ calls' = [calls EXCEPT ![c].status = "failed"]
  /\ candidates' = [candidates EXCEPT ![c] = {}]
  /\ UNCHANGED <<value, linearized>>

(***************************************************************************)
(* The client gives up.  Its write may take effect later, or may have      *)
(* taken effect long ago.                                                  *)
(***************************************************************************)
GiveUp(c) ==
  /\ calls[c].status = "open"
  /\ calls' = [calls EXCEPT ![c].status = "unknown"]
  /\ candidates' = [candidates EXCEPT ![c] = {}]
  /\ UNCHANGED <<value, linearized>>

-----------------------------------------------------------------------------
\* What is said of calls at the start of each half follows from the rest; it
\* spares TLC a search when it checks that Dalio.tla implements this module.
Next ==
  \/ /\ calls' # calls
     /\ \E c \in Clients :
          \/ \E k \in Keys : InvokeRead(c, k)
          \/ \E k \in Keys, v \in Contents : InvokeWrite(c, k, v)
          \/ \E v \in Contents : ReturnRead(c, v)
          \/ ReturnWrite(c) \/ Fail(c) \/ GiveUp(c)
  \/ /\ calls' = calls
     /\ \E k \in Keys : \E writers \in SUBSET Hanging(k) :
          \E last \in writers : Linearize(k, writers, last)

Spec == Init /\ [][Next]_vars
=============================================================================

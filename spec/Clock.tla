------------------------------- MODULE Clock -------------------------------
(***************************************************************************)
(* One look at the clock for all reads that were sent before it: that a    *)
(* coordinator whose programs run on several processors releases a value   *)
(* without a look of its own only if the lease has held at some moment     *)
(* since the read came.  Handler.tla has one clock and handles one packet  *)
(* at a time; here are the words of memory by which processors tell one    *)
(* another, and the stamps that are taken from a clock which lags.         *)
(*                                                                         *)
(* A step here is one that a processor takes in one piece.  Time goes on   *)
(* between any two, and the lease may run out.  That it can be renewed     *)
(* makes no difference: a look that finds it holding counts all the same.  *)
(***************************************************************************)
EXTENDS Integers

CONSTANTS
  Processors,
  LastTime

\* Cures.  The rule is kept where the constant is TRUE.
CONSTANTS
  RaiseFirst,      \* moment is raised before the lease is looked at
  OnlyRaised,      \* a look counts for others if moment was raised
  LookAgain,       \* the lease is judged after that, not by the first time
  StrictlyBefore   \* a read sent at the very time of a look asks itself

VARIABLES
  now,      \* the clock
  tick,     \* what the clock said at its last tick
  over,     \* has the lease run out?
  moment,   \* what stamps are at least
  held,     \* of the last look that found the lease holding
  program,  \* by processor: what it does, and what it has seen
  sent      \* the stamps of reads since which no look has found the lease

vars == <<now, tick, over, moment, held, program, sent>>

Idle == [step |-> "idle"]

At(p, step) == program[p].step = step

Go(p, to) == program' = [program EXCEPT ![p] = to]

-----------------------------------------------------------------------------
(***************************************************************************)
(* A read comes, and is stamped: with the time of the last tick or with    *)
(* moment, whichever is later.                                             *)
(***************************************************************************)
Come(p) ==
  /\ At(p, "idle")
  /\ Go(p, [step |-> "stamp", tick |-> tick, found |-> FALSE])
  /\ UNCHANGED <<now, tick, over, moment, held, sent>>

StampRead(p) ==
  LET seen  == program[p].tick
      stamp == IF moment > seen THEN moment ELSE seen
  IN  /\ At(p, "stamp")
      /\ sent' = IF program[p].found THEN sent ELSE sent \cup {stamp}
      /\ Go(p, Idle)
      /\ UNCHANGED <<now, tick, over, moment, held>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* A reply is there for which the clock must be looked at.                 *)
(***************************************************************************)
Look(p) ==
  /\ At(p, "idle")
  /\ Go(p, [step |-> IF RaiseFirst THEN "moment" ELSE "judge", at |-> now,
            holds |-> ~over, raised |-> ~RaiseFirst])
  /\ UNCHANGED <<now, tick, over, moment, held, sent>>

SeeMoment(p) ==
  LET at == program[p].at
  IN  /\ At(p, "moment")
      /\ Go(p, IF moment >= at
                 THEN [program[p] EXCEPT !.step = "judge", !.raised = TRUE]
               ELSE [step |-> "raise", at |-> at, holds |-> program[p].holds,
                     seen |-> moment])
      /\ UNCHANGED <<now, tick, over, moment, held, sent>>

\* Compare and swap: another processor may have raised it meanwhile.
Raise(p) ==
  LET at    == program[p].at
      swaps == moment = program[p].seen
  IN  /\ At(p, "raise")
      /\ moment' = IF swaps THEN at ELSE moment
      /\ Go(p, [step |-> "judge", at |-> at, holds |-> program[p].holds,
                raised |-> swaps \/ moment >= at \/ ~OnlyRaised])
      /\ UNCHANGED <<now, tick, over, held, sent>>

\* The lease holds now, after all reads that have come.
Found == ~over

Judge(p) ==
  /\ At(p, "judge")
  /\ sent' = IF Found THEN {} ELSE sent
  /\ program' = [q \in Processors |->
       IF q = p
         THEN IF (IF LookAgain THEN Found ELSE program[p].holds)
                 /\ program[p].raised
                THEN [step |-> "hold", at |-> program[p].at]
              ELSE Idle
       ELSE IF At(q, "stamp") /\ Found THEN [program[q] EXCEPT !.found = TRUE]
       ELSE program[q]]
  /\ UNCHANGED <<now, tick, over, moment, held>>

\* Two that end in the other order take held back.
Hold(p) ==
  /\ At(p, "hold")
  /\ held' = program[p].at
  /\ Go(p, Idle)
  /\ UNCHANGED <<now, tick, over, moment, sent>>

-----------------------------------------------------------------------------
Pass ==
  /\ now < LastTime
  /\ now' = now + 1
  /\ UNCHANGED <<tick, over, moment, held, program, sent>>

Tick ==
  /\ tick < now
  /\ tick' = now
  /\ UNCHANGED <<now, over, moment, held, program, sent>>

RunOut ==
  /\ ~over
  /\ over' = TRUE
  /\ UNCHANGED <<now, tick, moment, held, program, sent>>

Init ==
  /\ now = 0 /\ tick = 0 /\ over = FALSE
  /\ moment = 0 /\ held = 0
  /\ program = [p \in Processors |-> Idle]
  /\ sent = {}

ProgramStep(p) ==
  \/ Come(p) \/ StampRead(p)
  \/ Look(p) \/ SeeMoment(p) \/ Raise(p) \/ Judge(p) \/ Hold(p)

Next ==
  \/ \E p \in Processors : ProgramStep(p)
  \/ Pass \/ Tick \/ RunOut

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* What is released without a look is none of those.
HeldSinceItCame ==
  \A stamp \in sent : IF StrictlyBefore THEN ~(stamp < held)
                                        ELSE ~(stamp <= held /\ held # 0)

TypeOK ==
  /\ now \in 0..LastTime /\ tick \in 0..now /\ over \in BOOLEAN
  /\ moment \in 0..now /\ held \in 0..moment
  /\ sent \subseteq 0..now
=============================================================================

------------------------------- MODULE ReadPath -------------------------------
(***************************************************************************)
(* A replica's reads in the kernel: that what a program answers from       *)
(* memory which the replica's process writes meanwhile is what the action  *)
(* HandleRead of ShardData.tla says at some moment between the arrival of  *)
(* the read and its answer.  Nothing else follows: an answer may be on its *)
(* way for as long as it likes.                                            *)
(*                                                                         *)
(* There is one key, which has one cell.  A step here is one that the      *)
(* processor takes in one piece: the process writes a record in halves,    *)
(* and the program copies it in halves.  Programs change nothing that      *)
(* another looks at, so one that runs at a time is enough.                 *)
(*                                                                         *)
(* What the replica is, as everybody else sees it, is in replica.  It      *)
(* changes when the process acknowledges a write or a change of the        *)
(* membership, or before that when the program can show it.  A process     *)
(* that is stopped takes no steps.  One that dies leaves its program for a *)
(* moment: the replica has crashed when that is gone, and not before.      *)
(***************************************************************************)
EXTENDS Integers

CONSTANTS
  LastWrite,  \* how many writes there are
  LastEpoch,  \* how often the replica is fenced, and one more
  LastId,     \* how often it is made a member
  None

\* Cures.  The rule is kept where the constant is TRUE.
CONSTANTS
  OddMeanwhile,  \* the sequence number of a cell that is written is odd
  SameAfter,     \* it is the same after the copy as before
  ShowFirst,     \* a write is in the cell before it is acknowledged
  CloseFirst,    \* the view is closed before a fence is acknowledged
  ViewAgain,     \* the view is the same after the copy as before
  OfMembership,  \* a cell counts for the membership that its record came under
  EndFirst       \* a successor waits for the program of who died

VARIABLES
  replica,  \* what HandleRead goes by: membership, whether open, record
  view,     \* the membership that the program answers for, or None
  cell,     \* a record with its membership and sequence number
  writes,   \* how many writes there were
  doing,    \* what the process does, and how far it is
  program,  \* what the program does, and what it has seen
  said,     \* what HandleRead said since the program began
  attached  \* whether the program is on its device

vars == <<replica, view, cell, writes, doing, program, said, attached>>

Nothing == 0  \* the record of a key that was never written; others are numbers

Member(e, id) == <<e, id>>

\* What HandleRead says to a read for a member.
HandleRead(r, m) == IF r.open /\ r.member = m THEN r.record ELSE None

Idle == [step |-> "idle"]

\* Every step adds what HandleRead would say after it.
Say == said' = IF program'.step = "idle" THEN {}
               ELSE said \cup {HandleRead(replica', program'.asked)}

-----------------------------------------------------------------------------
(***************************************************************************)
(* The process.  It holds a lock from one idle step to the next.           *)
(***************************************************************************)
Is(step) == doing.step = step

ByProcess == UNCHANGED program /\ Say

Lives == ~Is("dead")

BeginWrite ==
  /\ Is("idle") /\ replica.member # None /\ writes < LastWrite
  /\ writes' = writes + 1
  /\ doing' = [step |-> IF ShowFirst THEN "begin" ELSE "acknowledge"]
  /\ UNCHANGED <<replica, view, cell, attached>>
  /\ ByProcess

Mark ==
  /\ Is("begin")
  /\ cell' = [cell EXCEPT !.sequence = IF OddMeanwhile THEN @ + 1 ELSE @]
  /\ doing' = [step |-> "left"]
  /\ UNCHANGED <<replica, view, writes, attached>>
  /\ ByProcess

WriteLeft ==
  /\ Is("left")
  /\ cell' = [cell EXCEPT !.member = replica.member[2], !.left = writes]
  /\ doing' = [step |-> "right"]
  /\ UNCHANGED <<replica, view, writes, attached>>
  /\ ByProcess

WriteRight ==
  /\ Is("right")
  /\ cell' = [cell EXCEPT !.right = writes]
  /\ doing' = [step |-> "show"]
  /\ UNCHANGED <<replica, view, writes, attached>>
  /\ ByProcess

\* From here on the program shows the record.
Show ==
  /\ Is("show")
  /\ cell' = [cell EXCEPT !.sequence = IF OddMeanwhile THEN @ + 1 ELSE @ + 2]
  /\ replica' = [replica EXCEPT !.record = writes]
  /\ doing' = IF ShowFirst THEN [step |-> "acknowledge"] ELSE Idle
  /\ UNCHANGED <<view, writes, attached>>
  /\ ByProcess

Acknowledge ==
  /\ Is("acknowledge")
  /\ replica' = [replica EXCEPT !.record = writes]
  /\ doing' = IF ShowFirst THEN Idle ELSE [step |-> "begin"]
  /\ UNCHANGED <<view, cell, writes, attached>>
  /\ ByProcess

Fence ==
  /\ Is("idle") /\ replica.member # None /\ replica.member[1] < LastEpoch
  /\ doing' = [step |-> IF CloseFirst THEN "close" ELSE "fence"]
  /\ UNCHANGED <<replica, view, cell, writes, attached>>
  /\ ByProcess

Close ==
  /\ Is("close")
  /\ view' = None
  /\ doing' = IF CloseFirst THEN [step |-> "fence"] ELSE Idle
  /\ UNCHANGED <<replica, cell, writes, attached>>
  /\ ByProcess

AcknowledgeFence ==
  /\ Is("fence")
  /\ replica' = [replica EXCEPT !.open = FALSE, !.member[1] = @ + 1]
  /\ doing' = IF CloseFirst THEN Idle ELSE [step |-> "close"]
  /\ UNCHANGED <<view, cell, writes, attached>>
  /\ ByProcess

Open ==
  /\ Is("idle") /\ replica.member # None /\ ~replica.open
  /\ replica' = [replica EXCEPT !.open = TRUE]
  /\ view' = replica.member
  /\ UNCHANGED <<cell, writes, doing, attached>>
  /\ ByProcess

\* A new membership begins with nothing.  The cell keeps what it has.
Assign ==
  /\ Is("idle") /\ replica.lastId < LastId
  /\ LET m == Member(IF replica.member = None THEN 1 ELSE replica.member[1],
                     replica.lastId + 1)
     IN  /\ replica' = [member |-> m, open |-> TRUE, record |-> Nothing,
                        lastId |-> replica.lastId + 1]
         /\ view' = m
  /\ UNCHANGED <<cell, writes, doing, attached>>
  /\ ByProcess

(***************************************************************************)
(* It dies in whatever it does.  Its program goes with it, later.  What    *)
(* the successor knows it does not answer from, and it has a table of its  *)
(* own, which nobody looks at before its own program is attached.          *)
(***************************************************************************)
Die ==
  /\ Lives
  /\ doing' = [step |-> "dead"]
  /\ UNCHANGED <<replica, view, cell, writes, attached>>
  /\ ByProcess

Gone == [replica EXCEPT !.member = None, !.open = FALSE, !.record = Nothing]

Detach ==
  /\ Is("dead") /\ attached
  /\ attached' = FALSE
  /\ replica' = Gone
  /\ UNCHANGED <<view, cell, writes, doing>>
  /\ ByProcess

Blank == [sequence |-> 0, member |-> 0, left |-> Nothing, right |-> Nothing]

Succeed ==
  /\ Is("dead") /\ replica.lastId < LastId
  /\ IF attached THEN ~EndFirst /\ UNCHANGED <<view, cell>>
                 ELSE view' = None /\ cell' = Blank
  /\ replica' = Gone
  /\ attached' = TRUE
  /\ doing' = Idle
  /\ UNCHANGED writes
  /\ ByProcess

-----------------------------------------------------------------------------
(***************************************************************************)
(* The program: a read arrives, for some membership.                       *)
(***************************************************************************)
At(step) == program.step = step

Go(p) == /\ program' = p
         /\ UNCHANGED <<replica, view, cell, writes, doing, attached>>
         /\ Say

Pass == Go(Idle)

Receive(m) ==
  /\ At("idle") /\ attached
  /\ Go([step |-> "view", asked |-> m])

LookAtView ==
  /\ At("view")
  /\ IF view # program.asked THEN Pass
     ELSE Go([program EXCEPT !.step = "sequence"])

LookAtSequence ==
  /\ At("sequence")
  /\ Go([step |-> "left", asked |-> program.asked,
         sequence |-> cell.sequence])

CopyLeft ==
  /\ At("left")
  /\ IF OfMembership /\ cell.member # program.asked[2] THEN Pass
     ELSE Go([step |-> "right", asked |-> program.asked,
              sequence |-> program.sequence, left |-> cell.left])

CopyRight ==
  /\ At("right")
  /\ Go([step |-> "same", asked |-> program.asked,
         sequence |-> program.sequence,
         left |-> program.left, right |-> cell.right])

\* Without a record in the cell the key is not in the table.
LookAgain ==
  /\ At("same")
  /\ IF \/ program.sequence % 2 = 1
        \/ SameAfter /\ cell.sequence # program.sequence
        \/ program.left = Nothing
       THEN Pass
       ELSE Go([program EXCEPT !.step = "again"])

Answer ==
  /\ At("again")
  /\ IF ViewAgain /\ view # program.asked THEN Pass
     ELSE Go([program EXCEPT !.step = "answered"])

Sent == At("answered") /\ Pass

-----------------------------------------------------------------------------
Init ==
  /\ replica = [member |-> Member(1, 1), open |-> TRUE, record |-> Nothing,
                lastId |-> 1]
  /\ view = Member(1, 1)
  /\ cell = Blank
  /\ writes = 0
  /\ doing = Idle
  /\ program = Idle
  /\ said = {}
  /\ attached = TRUE

ProcessStep ==
  \/ BeginWrite \/ Mark \/ WriteLeft \/ WriteRight \/ Show \/ Acknowledge
  \/ Fence \/ Close \/ AcknowledgeFence \/ Open \/ Assign
  \/ Die \/ Detach \/ Succeed

ProgramStep ==
  \/ LookAtView \/ LookAtSequence \/ CopyLeft \/ CopyRight \/ LookAgain
  \/ Answer \/ Sent

Next ==
  \/ ProcessStep
  \/ ProgramStep
  \/ \E e \in 1..LastEpoch, id \in 1..LastId : Receive(Member(e, id))

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* What the program answers is whole, and HandleRead has said it meanwhile.
AnswersAsHandleRead ==
  At("answered") => /\ program.left = program.right
                    /\ program.left \in said

TypeOK ==
  /\ replica.lastId \in 1..LastId /\ replica.record \in 0..writes
  /\ replica.open \in BOOLEAN
  /\ writes \in 0..LastWrite
  /\ cell.left \in 0..LastWrite /\ cell.right \in 0..LastWrite
  /\ attached \in BOOLEAN
=============================================================================

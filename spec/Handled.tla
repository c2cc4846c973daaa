------------------------------ MODULE Handled ------------------------------
(***************************************************************************)
(* Ties the coordinator of Dalio.tla to Handler.tla, both ways: every step *)
(* of the one is a result of the other (the property StepsAreHandled, in   *)
(* the models of Dalio.tla), and every result is such a step (HandledSpec  *)
(* in place of Spec, whose steps are those of Next).                       *)
(*                                                                         *)
(* Dalio.tla has no time: any entry may have been idle for long.  Nor does *)
(* it keep what a new owner of an entry finds of the last one's request.   *)
(* A model without Redrive leaves out what is multicast with nobody to     *)
(* answer, and one with MayRefuse is not compared: it refuses writes as a  *)
(* coordinator without members does.                                       *)
(***************************************************************************)
EXTENDS Dalio

H == INSTANCE Handler WITH Now <- 0, Lease <- 0

NumberOf ==
  CHOOSE f \in [Clients -> 1..Cardinality(Clients)] :
    \A c, d \in Clients : f[c] = f[d] => c = d

Nonce(n) == IF n = None THEN 0 ELSE NumberOf[n[1]] * 1000 + n[2]

Owner(session) == IF session = None THEN H!NoSession ELSE session

Op(v) == IF v = Absent THEN "delete" ELSE "put"

Bytes(v) == IF v = Absent THEN "" ELSE v

\* An entry as the handler has it.
Plain(e) == IF e.request = 0
              THEN [e EXCEPT !.op = "none", !.hash = "", !.digest = ""] ELSE e

Entry(s, idle) ==
  LET e == entries[s]
      none == e.key = None
  IN  [owner |-> Owner(e.owner), nonce |-> Nonce(e.nonce),
       request |-> e.request, op |-> IF none THEN "none" ELSE Op(e.value),
       hash |-> IF none THEN "" ELSE e.key,
       digest |-> IF none THEN "" ELSE e.value,
       seq |-> e.seq, acks |-> IF e.done THEN {} ELSE e.acks,
       done |-> e.done, settled |-> Zero, idle |-> idle]

Coordinator(idle) ==
  [epoch |-> Epoch, seq |-> nextSeq, known |-> [r \in Replicas |-> 1],
   members |-> Replicas, serving |-> Serving, least |-> 0,
   heard |-> [r \in Replicas |-> 0], held |-> 0,
   entries |-> [s \in Slots |-> Entry(s, s \in idle)]]

\* A message as a packet.
Has(m, field) == field \in DOMAIN m

Packet(m) ==
  LET writes == m.type \in {"WriteRequest", "ReadReply"}
      ours   == m.type \in {"WriteAck", "ReadReply"}
      zero   == m.type = "ReadReply" /\ m.version = Zero
  IN  [form |-> "whole", type |-> m.type, status |-> "none", attempt |-> 0,
       from |-> IF ours THEN m.replica ELSE m.client,
       client |-> IF ours THEN m.client ELSE None,
       epoch |-> IF ours THEN m.epoch ELSE 0,
       replica |-> IF ours THEN <<m.replica, 1>> ELSE H!Nobody,
       version |-> IF ours THEN m.version ELSE Zero,
       hops |-> IF Has(m, "hops") THEN m.hops ELSE 0,
       request |-> IF m.type = "OpenRequest" THEN Nonce(m.nonce)
                   ELSE m.request,
       session |-> IF Has(m, "session") THEN m.session ELSE H!NoSession,
       writer |-> CASE m.type = "WriteAck" -> m.session
                    [] m.type = "ReadReply" -> Owner(m.writer)
                    [] OTHER -> H!NoSession,
       op |-> IF writes /\ ~zero THEN Op(m.value) ELSE "none",
       hash |-> IF Has(m, "key") THEN m.key ELSE "",
       key |-> IF Has(m, "key") THEN m.key ELSE "",
       digest |-> IF writes THEN m.value ELSE "",
       value |-> IF writes THEN Bytes(m.value) ELSE "",
       sent |-> 0]

\* What comes out, as messages.  m is what came in.
Value(a) == IF a.op = "put" THEN a.value ELSE Absent

Answers(m, to, a) ==
  {CASE a.type = "OpenResponse" ->
          [type |-> a.type, client |-> to, nonce |-> m.nonce,
           status |-> a.status,
           session |-> IF a.status = "OK" THEN a.session ELSE None]
     [] a.type = "WriteResponse" ->
          [type |-> a.type, client |-> to, session |-> a.session,
           request |-> a.request, status |-> a.status]
     [] a.type = "ReadResponse" ->
          [type |-> a.type, client |-> to, request |-> a.request,
           status |-> a.status, value |-> Value(a)]}

Copies(to, a) ==
  IF a.type = "Read"
    THEN {[type |-> "Read", epoch |-> a.epoch, replica |-> r,
           client |-> a.client, request |-> a.request, key |-> a.key,
           hops |-> a.hops] : r \in to}
  ELSE IF a.client = None /\ ~Redrive THEN {}
  ELSE {[type |-> "Write", epoch |-> a.epoch, replica |-> r,
         client |-> a.client, session |-> a.session, request |-> a.request,
         version |-> a.version, key |-> a.key, value |-> Value(a)] : r \in to}

Messages(m, out) ==
  IF "client" \in DOMAIN out THEN Answers(m, out.client, out.message)
  ELSE IF "replicas" \in DOMAIN out THEN Copies(out.replicas, out.message)
  ELSE {}

\* Entry s after m, as Dalio.tla has it, where the handler has made it e.
After(m, s, e) ==
  LET old == entries[s]
      opened == Owner(old.owner) # e.owner
      written == e.seq # old.seq
  IN  [owner |-> IF opened THEN e.owner ELSE old.owner,
       nonce |-> IF opened THEN m.nonce ELSE old.nonce,
       request |-> e.request,
       key |-> IF opened THEN None ELSE IF written THEN m.key ELSE old.key,
       value |-> IF opened THEN None
                 ELSE IF written THEN m.value ELSE old.value,
       seq |-> e.seq,
       acks |-> IF e.done /\ ~old.done THEN Replicas
                ELSE IF e.done THEN old.acks ELSE e.acks,
       done |-> e.done]

\* The coordinator handles m, with the result r.
Handles(m, r) ==
  LET d == r.state
  IN  /\ d.epoch = Epoch /\ d.members = Replicas /\ d.serving = Serving
      /\ Handle(m, Messages(m, r.out))
      /\ nextSeq' = d.seq
      /\ entries' = [s \in Slots |-> After(m, s, d.entries[s])]
      /\ \A s \in Slots :  \* nothing of d is lost on the way
           LET e == [d.entries[s] EXCEPT !.idle = FALSE]
           IN  Plain(Entry(s, FALSE)') = Plain(e)
      /\ minted' = [s \in Slots |-> d.entries[s].owner[2]]
      /\ sequenced' = sequenced \cup
           (IF d.seq = nextSeq THEN {}
            ELSE {[version |-> <<Epoch, d.seq>>, session |-> m.session,
                   request |-> m.request, key |-> m.key, value |-> m.value]})
      /\ committed' = committed \cup
           {<<Epoch, entries[s].seq>> :
              s \in {t \in Slots : Pending(entries[t]) /\ d.entries[t].done}}
      /\ UNCHANGED <<unpublished, replicas, clients>>

ToCoordinator ==
  {m \in messages : m.type \in {"OpenRequest", "WriteRequest", "WriteAck",
                                "ReadRequest", "ReadReply"}}

HandledStep ==
  \E m \in ToCoordinator, idle \in SUBSET Slots :
    \E r \in H!Results(Coordinator(idle), Packet(m)) : Handles(m, r)

StepsAreHandled == [][CoordinatorStep => HandledStep]_vars

HandledNext ==
  \/ \E c \in Clients : ClientStep(c)
  \/ HandledStep
  \/ \E r \in Replicas : ReplicaStep(r)
  \/ \E m \in messages : Lose(m)

HandledSpec == Init /\ [][HandledNext]_vars

StepsAreKnown == [][Next]_vars
=============================================================================

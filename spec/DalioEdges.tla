------------------------------ MODULE DalioEdges ------------------------------
(***************************************************************************)
(* Dalio.tla with the name and the arguments of each step, which are       *)
(* printed with what the step changes.  The steps are those of Next; what  *)
(* exists only where a cure is off is left out, and so is the history,     *)
(* which no action reads.                                                  *)
(***************************************************************************)
EXTENDS MCDalio, Sequences

VARIABLE act  \* the name and the arguments of the last step

rest == [losses |-> losses, nextSeq |-> nextSeq, entries |-> entries,
         minted |-> minted, store |-> store, collect |-> collect,
         sessions |-> sessions, requests |-> requests, calls |-> calls]

\* States of the protocol: this is what is told apart.
state == <<messages, rest>>

Is(name, arguments) == act' = <<name>> \o arguments

ClientEdge(c) ==
  \/ \E k \in Keys : InvokeRead(c, k) /\ Is("InvokeRead", <<c, k>>)
  \/ \E k \in Keys, v \in Contents :
       InvokeWrite(c, k, v) /\ Is("InvokeWrite", <<c, k, v>>)
  \/ Retry(c) /\ Is("Retry", <<c>>)
  \/ Abandon(c) /\ Is("Abandon", <<c>>)
  \/ \E m \in Received("OpenResponse") :
       HandleOpenResponse(c, m) /\ Is("HandleOpenResponse", <<c, m>>)
  \/ \E m \in Received("WriteResponse") :
       HandleWriteResponse(c, m) /\ Is("HandleWriteResponse", <<c, m>>)
  \/ \E m \in Received("ReadResponse") :
       HandleReadResponse(c, m) /\ Is("HandleReadResponse", <<c, m>>)

CoordinatorEdge ==
  \/ \E m \in Received("OpenRequest") :
       HandleOpenRequest(m) /\ Is("HandleOpenRequest", <<m>>)
  \/ \E m \in Received("WriteRequest") :
       HandleWriteRequest(m) /\ Is("HandleWriteRequest", <<m>>)
  \/ \E m \in Received("WriteAck") :
       HandleWriteAck(m) /\ Is("HandleWriteAck", <<m>>)
  \/ \E m \in Received("ReadRequest") :
       HandleReadRequest(m) /\ Is("HandleReadRequest", <<m>>)
  \/ \E m \in Received("ReadReply") :
       HandleReadReply(m) /\ Is("HandleReadReply", <<m>>)

ReplicaEdge(r) ==
  \/ \E m \in Received("Write") :
       HandleWrite(r, m) /\ Is("HandleWrite", <<r, m>>)
  \/ \E m \in Received("Read") :
       HandleRead(r, m) /\ Is("HandleRead", <<r, m>>)
  \/ \E seq \in 1..LastSeq :
       CollectTombstones(r, seq) /\ Is("CollectTombstones", <<r, seq>>)

EdgeNext ==
  \/ \E c \in Clients : ClientEdge(c)
  \/ CoordinatorEdge
  \/ \E r \in Replicas : ReplicaEdge(r)
  \/ \E m \in messages : Lose(m) /\ Is("Lose", <<m>>)

(***************************************************************************)
(* What is printed: which calls clients may make; each state from which    *)
(* steps follow; and of each of these its name and arguments, the messages *)
(* it adds and takes away, and the rest of the state if it changes.  This  *)
(* needs one worker, which takes all steps of a state in turn.             *)
(***************************************************************************)
ASSUME PrintT("CALLS\t" \o ToString([c \in Clients |->
                [n \in 1..(LastSeq + 2) |-> Wanted(c, n)]]))

EdgeInit == Init /\ act = <<>> /\ TLCSet(1, <<>>)

From == \/ TLCGet(1) = state
        \/ /\ TLCSet(1, state)
           /\ PrintT("FROM\t" \o ToString(messages) \o "\t" \o ToString(rest))

Emit ==
  /\ From
  /\ PrintT("STEP\t" \o ToString(act')
            \o "\t" \o ToString(messages' \ messages)
            \o "\t" \o ToString(messages \ messages')
            \o "\t" \o (IF rest' = rest THEN "" ELSE ToString(rest')))
=============================================================================

------------------------------ MODULE ProofEdges ------------------------------
(***************************************************************************)
(* Every step of Dalio.tla, for the proof to be compared with: its name,   *)
(* the state that it begins in, and what it changes.  The history by which *)
(* Dalio.tla implements Register.tla is part of the state here, but not in *)
(* DalioEdges.tla, which names the steps.                                  *)
(***************************************************************************)
EXTENDS DalioEdges

\* A state, in the order in which EmitWhole tells what has changed.
Whole == <<messages, losses, nextSeq, entries, minted, unpublished, store,
           collect, sessions, requests, calls, floors, sequenced, committed>>

\* The variables of Register.tla, to compare the proof's definitions with.
Mapped == [value      |-> [k \in Keys |-> ValueOf(Newest(k))],
           linearized |-> {c \in Clients : TookEffect(c)},
           candidates |-> [c \in Clients |-> Candidates(c)]]

\* For models: only requests to write are received at most once.
OnlyWriteRequests(m) == m.type = "WriteRequest"

-----------------------------------------------------------------------------
\* The steps of Next, with those that must not be there while all cures are kept.
WholeNext ==
  \/ EdgeNext
  \/ \E s \in Slots : \/ PublishLate(s) /\ Is("PublishLate", <<s>>)
                      \/ AbortPending(s) /\ Is("AbortPending", <<s>>)

-----------------------------------------------------------------------------
\* What is constant.  No client makes more requests than this.
MostRequests == 4

Constants ==
  [Clients |-> Clients, Keys |-> Keys, Contents |-> Contents,
   Replicas |-> Replicas, Serving |-> Serving, Slots |-> Slots,
   Epoch |-> Epoch, LastSeq |-> LastSeq, LastCount |-> LastCount,
   MaxHops |-> MaxHops, MostRequests |-> MostRequests,
   Quitters |-> Quitters, MayRefuse |-> MayRefuse, Collects |-> Collects,
   Wanted |-> UNION {{<<c, n, w>> : w \in Wanted(c, n)} :
                       c \in Clients, n \in 1..MostRequests},
   Once |-> {t \in MessageTypes : Once([type |-> t])},
   Liveness |-> [AckStale |-> AckStale, Retries |-> Retries,
                 Redrive |-> Redrive, RedriveAtOnce |-> RedriveAtOnce]]

ASSUME PrintT("CONSTANTS\t" \o ToString(Constants))

Changed(old, new) == IF old = new THEN "" ELSE ToString(new)

EmitWhole ==
  PrintT("EDGE\t" \o act'[1] \o "\t" \o ToString(Mapped)
    \o "\t" \o ToString(Whole)
    \o "\t" \o Changed(messages, messages')
    \o "\t" \o Changed(losses, losses')
    \o "\t" \o Changed(nextSeq, nextSeq')
    \o "\t" \o Changed(entries, entries')
    \o "\t" \o Changed(minted, minted')
    \o "\t" \o Changed(unpublished, unpublished')
    \o "\t" \o Changed(store, store')
    \o "\t" \o Changed(collect, collect')
    \o "\t" \o Changed(sessions, sessions')
    \o "\t" \o Changed(requests, requests')
    \o "\t" \o Changed(calls, calls')
    \o "\t" \o Changed(floors, floors')
    \o "\t" \o Changed(sequenced, sequenced')
    \o "\t" \o Changed(committed, committed'))
=============================================================================

# What customers, drivers and users are told. A message is the text of an SMS or a push message; `.subject` is the line
# above it, also of a mail, which has `mail-greeting` before and `mail-closing` after.
# A value that is not known is the word `unknown`.

mail-greeting =
    { $name ->
        [unknown] Hello,
       *[known] Hello { $name },
    }
mail-closing = Kind regards, { $company }

delivery-created =
    { $windowStart ->
        [unknown] { $company } has received your order { $reference }.
       *[known] { $company } has received your order { $reference }. Delivery: { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } to { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Your order { $reference }

delivery-assigned =
    { $windowStart ->
        [unknown] A driver will bring your order { $reference } from { $company }.
       *[known] A driver will bring your order { $reference } from { $company } between { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } and { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = A driver has your order { $reference }

delivery-on-the-way =
    Your order { $reference } from { $company } is on its way. { $link ->
        [unknown] { "" }
       *[known] Follow it here: { $link }
    }
    .subject = Your order { $reference } is on its way

delivery-arriving-soon =
    { $minutes ->
        [unknown] Your order { $reference } from { $company } arrives soon.
        [one] Your order { $reference } from { $company } arrives in about { $minutes } minute.
       *[other] Your order { $reference } from { $company } arrives in about { $minutes } minutes.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Your order { $reference } arrives soon

delivery-arrived = Your driver is at the door with your order { $reference } from { $company }.
    .subject = Your order { $reference } is at the door

delivery-delivered = Your order { $reference } from { $company } has been delivered. Thank you!
    .subject = Your order { $reference } has been delivered

delivery-failed = Your order { $reference } from { $company } could not be delivered. { $company } will get in touch with you.
    .subject = Your order { $reference } could not be delivered

delivery-rescheduled =
    { $windowStart ->
        [unknown] The delivery of your order { $reference } from { $company } has been rescheduled.
       *[known] Your order { $reference } from { $company } now comes between { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } and { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = A new time for your order { $reference }

driver-assigned =
    New delivery { $reference }{ $address ->
        [unknown] .
       *[known] : { $address }.
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } to { DATETIME($windowEnd, timeStyle: "short") }.
    }
    .subject = New delivery { $reference }

driver-unassigned = Delivery { $reference } is no longer yours.
    .subject = Delivery { $reference } taken back

driver-changed =
    Delivery { $reference } has changed{ $address ->
        [unknown] .
       *[known] : { $address }.
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } to { DATETIME($windowEnd, timeStyle: "short") }.
    }
    .subject = Delivery { $reference } has changed

driver-offer =
    Do you take delivery { $reference }{ $address ->
        [unknown] ?
       *[known] { " " }({ $address })?
    } { $minutes ->
        [unknown] Please answer in the app.
        [one] Please answer in the app within { $minutes } minute.
       *[other] Please answer in the app within { $minutes } minutes.
    }
    .subject = A delivery for you

invitation =
    { $company } invites you to Outrider. Choose your password here: { $link } { $days ->
        [unknown] { "" }
        [one] The link works for { $days } day.
       *[other] The link works for { $days } days.
    }
    .subject = Your access to { $company }

password-reset =
    Choose a new password for { $company } here: { $link } { $minutes ->
        [unknown] { "" }
        [one] The link works for { $minutes } minute.
       *[other] The link works for { $minutes } minutes.
    } If you have not asked for it, you need do nothing.
    .subject = A new password

task-failed =
    Outrider has given up a task of the kind “{ $kind }” for { $company } { $attempts ->
        [one] after { $attempts } attempt.
       *[other] after { $attempts } attempts.
    } You find it among the dead letters, where it can be started again. Further failures of this kind are not reported for 15 minutes.
    .subject = A task of the kind “{ $kind }” has failed

webhook-disabled =
    Outrider tells the webhook { $kind } of { $company } nothing more: it has answered that it is gone, or taken nothing for days. Enable it again when it is well; a replay then brings what it has missed.
    .subject = A webhook was disabled

ranges-off =
    Of the arrivals at { $company } on { $kind }, too few or too many lay in the range that had been promised; four in five is right. The accuracy of arrival times shows which, by day and by model, and a newly trained model mostly mends it.
    .subject = Ranges of arrival times did not hold

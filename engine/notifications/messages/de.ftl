# Deutsche Texte. Die Erläuterungen stehen in en.ftl.

mail-greeting =
    { $name ->
        [unknown] Guten Tag,
       *[known] Guten Tag, { $name },
    }
mail-closing = Freundliche Grüße, { $company }

delivery-created =
    { $windowStart ->
        [unknown] { $company } hat Ihre Bestellung { $reference } erhalten.
       *[known] { $company } hat Ihre Bestellung { $reference } erhalten. Lieferung: { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } bis { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Ihre Bestellung { $reference }

delivery-assigned =
    { $windowStart ->
        [unknown] Ihre Bestellung { $reference } von { $company } ist einem Fahrer zugeteilt.
       *[known] Ein Fahrer bringt Ihre Bestellung { $reference } von { $company } zwischen { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } und { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Ihre Bestellung { $reference } hat einen Fahrer

delivery-on-the-way =
    Ihre Bestellung { $reference } von { $company } ist unterwegs. { $link ->
        [unknown] { "" }
       *[known] Verfolgen Sie sie hier: { $link }
    }
    .subject = Ihre Bestellung { $reference } ist unterwegs

delivery-arriving-soon =
    { $minutes ->
        [unknown] Ihre Bestellung { $reference } von { $company } kommt gleich an.
        [one] Ihre Bestellung { $reference } von { $company } kommt in etwa { $minutes } Minute an.
       *[other] Ihre Bestellung { $reference } von { $company } kommt in etwa { $minutes } Minuten an.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Ihre Bestellung { $reference } kommt gleich an

delivery-arrived = Ihr Fahrer steht mit Ihrer Bestellung { $reference } von { $company } vor der Tür.
    .subject = Ihre Bestellung { $reference } ist da

delivery-delivered = Ihre Bestellung { $reference } von { $company } wurde zugestellt. Vielen Dank!
    .subject = Ihre Bestellung { $reference } wurde zugestellt

delivery-failed = Ihre Bestellung { $reference } von { $company } konnte nicht zugestellt werden. { $company } meldet sich bei Ihnen.
    .subject = Ihre Bestellung { $reference } konnte nicht zugestellt werden

delivery-rescheduled =
    { $windowStart ->
        [unknown] Die Lieferung Ihrer Bestellung { $reference } von { $company } wurde verschoben.
       *[known] Ihre Bestellung { $reference } von { $company } kommt nun zwischen { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } und { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Ein neuer Termin für Ihre Bestellung { $reference }

driver-assigned =
    Neue Lieferung { $reference }{ $address ->
        [unknown] .
       *[known] : { $address }.
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } bis { DATETIME($windowEnd, timeStyle: "short") }.
    }
    .subject = Neue Lieferung { $reference }

driver-unassigned = Die Lieferung { $reference } gehört nicht mehr zu Ihrer Tour.
    .subject = Lieferung { $reference } zurückgenommen

driver-changed =
    Die Lieferung { $reference } hat sich geändert{ $address ->
        [unknown] .
       *[known] : { $address }.
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } bis { DATETIME($windowEnd, timeStyle: "short") }.
    }
    .subject = Lieferung { $reference } geändert

driver-offer =
    Übernehmen Sie die Lieferung { $reference }{ $address ->
        [unknown] ?
       *[known] { " " }({ $address })?
    } { $minutes ->
        [unknown] Bitte antworten Sie in der App.
        [one] Bitte antworten Sie binnen { $minutes } Minute in der App.
       *[other] Bitte antworten Sie binnen { $minutes } Minuten in der App.
    }
    .subject = Eine Lieferung für Sie

invitation =
    { $company } lädt Sie zu Outrider ein. Wählen Sie hier Ihr Passwort: { $link } { $days ->
        [unknown] { "" }
        [one] Der Link gilt { $days } Tag.
       *[other] Der Link gilt { $days } Tage.
    }
    .subject = Ihr Zugang zu { $company }

password-reset =
    Wählen Sie hier ein neues Passwort für { $company }: { $link } { $minutes ->
        [unknown] { "" }
        [one] Der Link gilt { $minutes } Minute.
       *[other] Der Link gilt { $minutes } Minuten.
    } Wenn Sie nicht darum gebeten haben, brauchen Sie nichts zu tun.
    .subject = Ein neues Passwort

task-failed =
    Outrider hat eine Aufgabe der Art „{ $kind }“ für { $company } aufgegeben, { $attempts ->
        [one] nach { $attempts } Versuch.
       *[other] nach { $attempts } Versuchen.
    } Sie steht bei den unzustellbaren Aufgaben und kann dort neu gestartet werden. Weitere Fehler dieser Art werden 15 Minuten lang nicht gemeldet.
    .subject = Eine Aufgabe der Art „{ $kind }“ ist gescheitert

webhook-disabled =
    Outrider meldet dem Webhook { $kind } von { $company } nichts mehr: Er hat geantwortet, dass es ihn nicht mehr gibt, oder tagelang nichts angenommen. Aktivieren Sie ihn wieder, wenn er bereit ist; eine Wiederholung bringt dann, was er verpasst hat.
    .subject = Ein Webhook wurde abgeschaltet

ranges-off =
    Von den Ankünften bei { $company } am { $kind } lagen zu wenige oder zu viele in der zugesagten Zeitspanne; richtig sind vier von fünf. Die Genauigkeit der Ankunftszeiten zeigt nach Tag und Modell, was davon zutrifft; meist hilft ein neu trainiertes Modell.
    .subject = Zugesagte Ankunftszeiten stimmten nicht

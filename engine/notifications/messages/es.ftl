# Textos en español. Las explicaciones están en en.ftl.

mail-greeting =
    { $name ->
        [unknown] Hola:
       *[known] Hola, { $name }:
    }
mail-closing = Un saludo, { $company }

delivery-created =
    { $windowStart ->
        [unknown] { $company } ha recibido su pedido { $reference }.
       *[known] { $company } ha recibido su pedido { $reference }. Entrega: { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } a { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Su pedido { $reference }

delivery-assigned =
    { $windowStart ->
        [unknown] Un repartidor le llevará su pedido { $reference } de { $company }.
       *[known] Un repartidor le llevará su pedido { $reference } de { $company } entre { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } y { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Su pedido { $reference } ya tiene repartidor

delivery-on-the-way =
    Su pedido { $reference } de { $company } está en camino. { $link ->
        [unknown] { "" }
       *[known] Sígalo aquí: { $link }
    }
    .subject = Su pedido { $reference } está en camino

delivery-arriving-soon =
    { $minutes ->
        [unknown] Su pedido { $reference } de { $company } está a punto de llegar.
        [one] Su pedido { $reference } de { $company } llega en { $minutes } minuto, aproximadamente.
       *[other] Su pedido { $reference } de { $company } llega en { $minutes } minutos, aproximadamente.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Su pedido { $reference } está a punto de llegar

delivery-arrived = El repartidor está en la puerta con su pedido { $reference } de { $company }.
    .subject = Su pedido { $reference } está en la puerta

delivery-delivered = Su pedido { $reference } de { $company } ha sido entregado. ¡Gracias!
    .subject = Su pedido { $reference } ha sido entregado

delivery-failed = No se ha podido entregar su pedido { $reference } de { $company }. { $company } se pondrá en contacto con usted.
    .subject = No se ha podido entregar su pedido { $reference }

delivery-rescheduled =
    { $windowStart ->
        [unknown] La entrega de su pedido { $reference } de { $company } se ha cambiado de hora.
       *[known] Su pedido { $reference } de { $company } llegará ahora entre { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } y { DATETIME($windowEnd, timeStyle: "short") }.
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = Nueva hora para su pedido { $reference }

driver-assigned =
    Nueva entrega { $reference }{ $address ->
        [unknown] .
       *[known] : { $address }.
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } a { DATETIME($windowEnd, timeStyle: "short") }.
    }
    .subject = Nueva entrega { $reference }

driver-unassigned = La entrega { $reference } ya no es suya.
    .subject = Entrega { $reference } retirada

driver-changed =
    La entrega { $reference } ha cambiado{ $address ->
        [unknown] .
       *[known] : { $address }.
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } a { DATETIME($windowEnd, timeStyle: "short") }.
    }
    .subject = La entrega { $reference } ha cambiado

driver-offer =
    ¿Acepta la entrega { $reference }{ $address ->
        [unknown] ?
       *[known] { " " }({ $address })?
    } { $minutes ->
        [unknown] Responda en la aplicación.
        [one] Responda en la aplicación en { $minutes } minuto.
       *[other] Responda en la aplicación en { $minutes } minutos.
    }
    .subject = Una entrega para usted

invitation =
    { $company } le invita a Outrider. Elija aquí su contraseña: { $link } { $days ->
        [unknown] { "" }
        [one] El enlace vale { $days } día.
       *[other] El enlace vale { $days } días.
    }
    .subject = Su acceso a { $company }

password-reset =
    Elija aquí una contraseña nueva para { $company }: { $link } { $minutes ->
        [unknown] { "" }
        [one] El enlace vale { $minutes } minuto.
       *[other] El enlace vale { $minutes } minutos.
    } Si no la ha pedido, no tiene que hacer nada.
    .subject = Una contraseña nueva

task-failed =
    Outrider ha abandonado una tarea del tipo «{ $kind }» de { $company } { $attempts ->
        [one] tras { $attempts } intento.
       *[other] tras { $attempts } intentos.
    } Está entre las tareas fallidas, donde se puede volver a iniciar. Durante 15 minutos no se avisará de otros fallos de este tipo.
    .subject = Ha fallado una tarea del tipo «{ $kind }»

webhook-disabled =
    Outrider ya no avisa al webhook { $kind } de { $company }: ha respondido que ya no existe o no ha aceptado nada durante días. Actívelo de nuevo cuando funcione; una repetición le llevará lo que se ha perdido.
    .subject = Se ha desactivado un webhook

ranges-off =
    De las llegadas de { $company } del { $kind }, demasiado pocas o demasiadas cayeron dentro del intervalo prometido; lo correcto son cuatro de cada cinco. La exactitud de las horas de llegada muestra cuál es el caso, por día y por modelo; casi siempre basta con entrenar un modelo nuevo.
    .subject = Los intervalos de llegada no se cumplieron

# 中文文本。说明见 en.ftl。

mail-greeting =
    { $name ->
        [unknown] 您好：
       *[known] { $name }，您好：
    }
mail-closing = { $company } 敬上

delivery-created =
    { $windowStart ->
        [unknown] { $company } 已收到您的订单 { $reference }。
       *[known] { $company } 已收到您的订单 { $reference }，预计 { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } 至 { DATETIME($windowEnd, timeStyle: "short") } 送达。
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = 您的订单 { $reference }

delivery-assigned =
    { $windowStart ->
        [unknown] 您在 { $company } 的订单 { $reference } 已安排司机。
       *[known] 您在 { $company } 的订单 { $reference } 已安排司机，将于 { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } 至 { DATETIME($windowEnd, timeStyle: "short") } 送达。
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = 您的订单 { $reference } 已安排司机

delivery-on-the-way =
    您在 { $company } 的订单 { $reference } 正在配送途中。{ $link ->
        [unknown] { "" }
       *[known] 查看位置：{ $link }
    }
    .subject = 您的订单 { $reference } 正在配送途中

delivery-arriving-soon =
    { $minutes ->
        [unknown] 您在 { $company } 的订单 { $reference } 即将送达。
       *[other] 您在 { $company } 的订单 { $reference } 大约 { $minutes } 分钟后送达。
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = 您的订单 { $reference } 即将送达

delivery-arrived = 司机已带着您在 { $company } 的订单 { $reference } 到达门口。
    .subject = 您的订单 { $reference } 已到门口

delivery-delivered = 您在 { $company } 的订单 { $reference } 已送达。谢谢！
    .subject = 您的订单 { $reference } 已送达

delivery-failed = 您在 { $company } 的订单 { $reference } 未能送达，{ $company } 将与您联系。
    .subject = 您的订单 { $reference } 未能送达

delivery-rescheduled =
    { $windowStart ->
        [unknown] 您在 { $company } 的订单 { $reference } 的配送时间已更改。
       *[known] 您在 { $company } 的订单 { $reference } 改为 { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } 至 { DATETIME($windowEnd, timeStyle: "short") } 送达。
    } { $link ->
        [unknown] { "" }
       *[known] { $link }
    }
    .subject = 订单 { $reference } 的新配送时间

driver-assigned =
    新配送任务 { $reference }{ $address ->
        [unknown] 。
       *[known] ：{ $address }。
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } 至 { DATETIME($windowEnd, timeStyle: "short") }。
    }
    .subject = 新配送任务 { $reference }

driver-unassigned = 配送任务 { $reference } 不再由您负责。
    .subject = 配送任务 { $reference } 已收回

driver-changed =
    配送任务 { $reference } 已更改{ $address ->
        [unknown] 。
       *[known] ：{ $address }。
    } { $windowStart ->
        [unknown] { "" }
       *[known] { DATETIME($windowStart, dateStyle: "medium", timeStyle: "short") } 至 { DATETIME($windowEnd, timeStyle: "short") }。
    }
    .subject = 配送任务 { $reference } 已更改

driver-offer =
    您是否接受配送任务 { $reference }{ $address ->
        [unknown] ？
       *[known] （{ $address }）？
    } { $minutes ->
        [unknown] 请在应用中答复。
       *[other] 请在 { $minutes } 分钟内在应用中答复。
    }
    .subject = 新的配送邀请

invitation =
    { $company } 邀请您使用 Outrider。请在此设置密码：{ $link } { $days ->
        [unknown] { "" }
       *[other] 链接 { $days } 天内有效。
    }
    .subject = 您在 { $company } 的账号

password-reset =
    请在此为 { $company } 设置新密码：{ $link } { $minutes ->
        [unknown] { "" }
       *[other] 链接 { $minutes } 分钟内有效。
    } 如果不是您本人的请求，请忽略此消息。
    .subject = 设置新密码

task-failed =
    Outrider 已放弃 { $company } 的一个“{ $kind }”任务，{ $attempts ->
       *[other] 共尝试 { $attempts } 次。
    } 该任务已列入失败任务，可在那里重新启动。15 分钟内不再报告同类失败。
    .subject = “{ $kind }”任务失败

webhook-disabled =
    Outrider 已停止通知 { $company } 的 Webhook { $kind }：它答复已不存在，或连续数日未接收任何内容。恢复后请重新启用，重放会补上错过的事件。
    .subject = Webhook 已停用

ranges-off =
    { $company } 在 { $kind } 的到达时间中，落在承诺区间内的过少或过多；正常应为五分之四。可在到达时间准确度中按日期和模型查看，通常重新训练模型即可改善。
    .subject = 到达时间区间不准

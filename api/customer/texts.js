/** What the page says, by language. */
export const TEXTS = {
  en: {
    status: {
      pending: "We have your order", assigned: "A driver has your order", accepted: "A driver has your order",
      picked_up: "Your order is with the driver", in_transit: "Your order is on its way", arrived: "Your driver is here",
      delivered: "Delivered", failed: "We could not deliver", returned: "Returned to the sender", cancelled: "Cancelled",
    },
    steps: { ordered: "Ordered", assigned: "Driver", on_the_way: "On its way", delivered: "Delivered" },
    expected: "Expected at", agreed: "Agreed time:", reference: "Order", updated: "Updated at",
    between: ["between", "and"], sureness: { low: "a first estimate", medium: "fairly sure", high: "sure" },
    reasons: { driving: "Driving: {minutes} min", stops_before: "Stops before yours: {minutes} min", waiting: "Waiting for the agreed time: {minutes} min" },
    gone: "This link is not valid any more", offline: "No connection; trying again",
  },
  de: {
    status: {
      pending: "Wir haben Ihre Bestellung", assigned: "Ein Fahrer hat Ihre Sendung", accepted: "Ein Fahrer hat Ihre Sendung",
      picked_up: "Ihre Sendung ist beim Fahrer", in_transit: "Ihre Sendung ist unterwegs", arrived: "Ihr Fahrer ist da",
      delivered: "Zugestellt", failed: "Zustellung nicht möglich", returned: "Zurück beim Absender", cancelled: "Storniert",
    },
    steps: { ordered: "Bestellt", assigned: "Fahrer", on_the_way: "Unterwegs", delivered: "Zugestellt" },
    expected: "Voraussichtlich um", agreed: "Vereinbart:", reference: "Bestellung", updated: "Stand",
    between: ["zwischen", "und"], sureness: { low: "erste Schätzung", medium: "ziemlich sicher", high: "sicher" },
    reasons: { driving: "Fahrt: {minutes} min", stops_before: "Stopps vor Ihnen: {minutes} min", waiting: "Warten auf die vereinbarte Zeit: {minutes} min" },
    gone: "Dieser Link gilt nicht mehr", offline: "Keine Verbindung; neuer Versuch folgt",
  },
  es: {
    status: {
      pending: "Tenemos su pedido", assigned: "Un conductor tiene su pedido", accepted: "Un conductor tiene su pedido",
      picked_up: "El conductor lleva su pedido", in_transit: "Su pedido está en camino", arrived: "Su conductor ha llegado",
      delivered: "Entregado", failed: "No se pudo entregar", returned: "Devuelto al remitente", cancelled: "Cancelado",
    },
    steps: { ordered: "Pedido", assigned: "Conductor", on_the_way: "En camino", delivered: "Entregado" },
    expected: "Llegada prevista:", agreed: "Hora acordada:", reference: "Pedido", updated: "Actualizado a las",
    between: ["entre las", "y las"], sureness: { low: "primera estimación", medium: "bastante seguro", high: "seguro" },
    reasons: { driving: "Trayecto: {minutes} min", stops_before: "Paradas antes de la suya: {minutes} min", waiting: "Espera hasta la hora acordada: {minutes} min" },
    gone: "Este enlace ya no es válido", offline: "Sin conexión; se intentará de nuevo",
  },
  zh: {
    status: {
      pending: "已收到您的订单", assigned: "已为您安排司机", accepted: "已为您安排司机", picked_up: "司机已取件",
      in_transit: "正在派送途中", arrived: "司机已到达", delivered: "已送达", failed: "未能送达", returned: "已退回寄件人",
      cancelled: "已取消",
    },
    steps: { ordered: "已下单", assigned: "已派司机", on_the_way: "派送中", delivered: "已送达" },
    expected: "预计送达：", agreed: "约定时间：", reference: "订单", updated: "更新于",
    between: ["", "至"], sureness: { low: "初步估计", medium: "较为确定", high: "确定" },
    reasons: { driving: "行驶：{minutes} 分钟", stops_before: "您之前的停靠：{minutes} 分钟", waiting: "等待约定时间：{minutes} 分钟" },
    gone: "此链接已失效", offline: "网络已断开，正在重试",
  },
};
